import { Text } from "@mantine/core";
import { useElementSize } from "@mantine/hooks";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useLayoutEffect, useRef } from "react";
import { open } from "./file-table.tsx";
import { useSelection } from "./selection.tsx";
import type { FileRecord } from "./sync.ts";
import { Thumb } from "./thumb.tsx";

const cardWidth = 190;
const gap = 14;

/** Files as pictures; only the rows in sight exist. */
export function FileGrid({ files }: { files: readonly FileRecord[] }) {
  const scroller = useRef<HTMLDivElement>(null);
  const selection = useSelection();
  const { ref, width } = useElementSize();
  const columns = Math.max(1, Math.floor((width + gap) / (cardWidth + gap)));
  const height = ((width + gap) / columns - gap) * 0.68 + 34;
  const rows = useVirtualizer({
    count: Math.ceil(files.length / columns),
    getScrollElement: () => scroller.current,
    estimateSize: () => height + gap,
    overscan: 3,
  });
  // The height of a row follows the width, which a virtualizer does not watch.
  useLayoutEffect(() => rows.measure(), [rows, height]);
  return (
    <div
      ref={scroller}
      className="scroller grid-scroller"
      data-testid="file-grid"
      data-count={files.length}
      onClick={(event) => event.target === event.currentTarget && selection.clear()}
    >
      <div ref={ref} style={{ height: rows.getTotalSize(), position: "relative" }}>
        {rows.getVirtualItems().map(({ index, key, start }) => (
          <div
            key={key}
            className="grid-row"
            style={{
              transform: `translateY(${start}px)`,
              gridTemplateColumns: `repeat(${columns}, 1fr)`,
              height,
            }}
          >
            {files.slice(index * columns, (index + 1) * columns).map((file) => (
              <FileCard key={file.id} file={file} files={files} />
            ))}
          </div>
        ))}
      </div>
    </div>
  );
}

function FileCard({ file, files }: { file: FileRecord; files: readonly FileRecord[] }) {
  const selection = useSelection();
  return (
    <figure
      className="card"
      data-selected={selection.ids.has(file.id)}
      data-testid="photo-card"
      data-id={file.id}
      onClick={(event) => selection.click(file.id, event, files)}
      onDoubleClick={() => open(file)}
    >
      <div className="card-picture">
        <Thumb file={file} />
      </div>
      <Text component="figcaption" size="xs" truncate>
        {file.name}
      </Text>
    </figure>
  );
}
