import { Text } from "@mantine/core";
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useRef } from "react";
import type { MouseEvent } from "react";
import { goTo } from "./route.ts";
import { optionProps, useFileKeys } from "./selection.tsx";
import type { FilesProps, OptionProps } from "./selection.tsx";
import type { FileRecord } from "./sync.ts";
import { isFolder } from "./sync.ts";
import { formatDate, formatSize } from "./format.ts";
import { Thumb } from "./thumb.tsx";
import { useAtEnd } from "./virtual-grid.tsx";

const rowHeight = 46;

/** Files as rows; only those in sight exist, however many there are. */
export function FileTable({ files, label, onEnd }: FilesProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const { selection, onSelect, listProps } = useFileKeys(files, label, open);
  const rows = useVirtualizer({
    count: files.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    getItemKey: (index) => files[index]?.id ?? index,
    overscan: 12,
    // Room for the bar with what can be done.
    paddingEnd: 76,
    scrollPaddingEnd: 76,
  });
  const seen = rows.getVirtualItems();
  useAtEnd(seen.at(-1)?.index === files.length - 1, files.length, onEnd);
  const reveal = (index: number) => rows.scrollToIndex(index);
  return (
    <div className="table">
      <div className="table-head" aria-hidden="true">
        <span>Name</span>
        <span>Kind</span>
        <span className="number">Size</span>
        <span>Modified</span>
      </div>
      <div
        ref={scroller}
        className="scroller"
        data-testid="file-table"
        {...listProps({ columns: 1, reveal })}
      >
        <div role="presentation" style={{ height: rows.getTotalSize(), position: "relative" }}>
          {seen.map(({ index, key, start }) => {
            const file = files[index];
            if (file === undefined) return null;
            return (
              <FileRow
                key={key}
                file={file}
                top={start}
                isSelected={selection.ids.has(file.id)}
                isLead={selection.lead === file.id}
                onSelect={onSelect}
              />
            );
          })}
        </div>
      </div>
    </div>
  );
}

/** Renders again only when its own file, place or selection changes. */
const FileRow = memo(function FileRow(props: OptionProps & { readonly top: number }) {
  const { file, top, onSelect } = props;
  return (
    <div
      {...optionProps(props)}
      className="row"
      style={{ transform: `translateY(${top}px)`, height: rowHeight }}
      data-testid="file-row"
      onClick={(event) => tap(file, event) || onSelect(file.id, event)}
      onDoubleClick={() => open(file)}
    >
      <span className="row-name">
        <Thumb file={file} size={32} />
        <Text size="sm" truncate fw={isFolder(file) ? 550 : 400}>
          {file.name}
        </Text>
      </span>
      <span>{kindOf(file)}</span>
      <span className="number">{isFolder(file) ? "" : formatSize(file.size)}</span>
      <span>{formatDate(file.modifiedAt)}</span>
    </div>
  );
});

export function open(file: FileRecord): void {
  if (isFolder(file)) goTo({ view: "folder", locationId: file.locationId, parentId: file.id });
}

/** A finger opens a folder at once: it has no second button, and seldom two clicks. */
export function tap(file: FileRecord, { nativeEvent }: MouseEvent): boolean {
  const isTap = isFolder(file) && (nativeEvent as PointerEvent).pointerType === "touch";
  if (isTap) open(file);
  return isTap;
}

export function kindOf(file: FileRecord): string {
  if (isFolder(file)) return "Folder";
  return file.extension === null ? "File" : file.extension.toUpperCase();
}
