import { useElementSize } from "@mantine/hooks";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useLayoutEffect, useRef } from "react";
import type { HTMLAttributes, ReactNode } from "react";

export interface GridProps<Item> {
  readonly items: readonly Item[];
  readonly look?: GridLook;
  readonly draw: (item: Item) => ReactNode;
  /** The last row came into sight. */
  readonly onEnd?: (() => void) | undefined;
  /** What the element that scrolls is beside that; told which row and column a place is in. */
  readonly scroller?: (grid: GridPlaces) => ScrollerProps;
}

export interface ScrollerProps extends HTMLAttributes<HTMLDivElement> {
  readonly "data-testid"?: string;
  readonly "data-count"?: number;
}

/** The least width of a card, the room around it, and how high one of a width is. */
export interface GridLook {
  readonly width: number;
  readonly gap: number;
  readonly heightOf: (width: number) => number;
}

export interface GridPlaces {
  readonly columns: number;
  readonly reveal: (index: number) => void;
}

export const photoLook: GridLook = { width: 150, gap: 14, heightOf: (width) => width * 0.68 + 34 };

/** Cards in rows, of which only those in sight exist, however many there are. */
export function VirtualGrid<Item extends { readonly id: string }>(props: GridProps<Item>) {
  const { items, look = photoLook, draw, onEnd } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const { ref, width } = useElementSize();
  const { gap } = look;
  const columns = Math.max(1, Math.floor((width + gap) / (look.width + gap)));
  const height = look.heightOf((width + gap) / columns - gap);
  const count = Math.ceil(items.length / columns);
  const rows = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => height + gap,
    overscan: 3,
    scrollPaddingEnd: 80,
  });
  // The height of a row follows the width, which a virtualizer does not watch.
  useLayoutEffect(() => rows.measure(), [rows, height]);
  const seen = rows.getVirtualItems();
  useAtEnd(seen.at(-1)?.index === count - 1, count, onEnd);
  const reveal = (index: number) => rows.scrollToIndex(Math.floor(index / columns));
  return (
    <div
      ref={scroller}
      className="scroller grid-scroller"
      {...props.scroller?.({ columns, reveal })}
    >
      <div
        ref={ref}
        role="presentation"
        style={{ height: rows.getTotalSize(), position: "relative" }}
      >
        {width > 0 &&
          seen.map(({ index, key, start }) => (
            <div
              key={key}
              role="presentation"
              className="grid-row"
              style={{
                transform: `translateY(${start}px)`,
                gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))`,
                height,
                gap,
              }}
            >
              {items.slice(index * columns, (index + 1) * columns).map(draw)}
            </div>
          ))}
      </div>
    </div>
  );
}

/** Tells once for each length of a list that its end is in sight. */
export function useAtEnd(isAtEnd: boolean, count: number, onEnd: (() => void) | undefined): void {
  useEffect(() => {
    if (isAtEnd) onEnd?.();
  }, [isAtEnd, count, onEnd]);
}
