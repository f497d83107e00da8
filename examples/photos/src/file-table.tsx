import { Text } from "@mantine/core";
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useCallback, useLayoutEffect, useRef } from "react";
import type { MouseEvent } from "react";
import { goTo } from "./route.ts";
import { useSelection } from "./selection.tsx";
import type { FileRecord } from "./sync.ts";
import { isFolder } from "./sync.ts";
import { formatDate, formatSize } from "./format.ts";
import { Thumb } from "./thumb.tsx";

const rowHeight = 46;

/** Files as rows; only those in sight exist, however many there are. */
export function FileTable({ files }: { files: readonly FileRecord[] }) {
  const scroller = useRef<HTMLDivElement>(null);
  const selection = useSelection();
  const latest = useRef({ selection, files });
  useLayoutEffect(() => {
    latest.current = { selection, files };
  });
  const onSelect = useCallback((id: string, event: MouseEvent) => {
    latest.current.selection.click(id, event, latest.current.files);
  }, []);
  const rows = useVirtualizer({
    count: files.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    getItemKey: (index) => files[index]?.id ?? index,
    overscan: 12,
  });
  return (
    <div className="table">
      <div className="table-head">
        <span>Name</span>
        <span>Kind</span>
        <span className="number">Size</span>
        <span>Modified</span>
      </div>
      <div
        ref={scroller}
        className="scroller"
        data-testid="file-table"
        data-count={files.length}
        onClick={(event) => event.target === event.currentTarget && selection.clear()}
      >
        <div style={{ height: rows.getTotalSize(), position: "relative" }}>
          {rows.getVirtualItems().map(({ index, key, start }) => {
            const file = files[index];
            if (file === undefined) return null;
            return (
              <FileRow
                key={key}
                file={file}
                top={start}
                isSelected={selection.ids.has(file.id)}
                onSelect={onSelect}
              />
            );
          })}
        </div>
      </div>
    </div>
  );
}

interface RowProps {
  readonly file: FileRecord;
  readonly top: number;
  readonly isSelected: boolean;
  readonly onSelect: (id: string, event: MouseEvent) => void;
}

/** Renders again only when its own file, place or selection changes. */
const FileRow = memo(function FileRow({ file, top, isSelected, onSelect }: RowProps) {
  return (
    <div
      className="row"
      style={{ transform: `translateY(${top}px)`, height: rowHeight }}
      data-selected={isSelected}
      data-testid="file-row"
      data-id={file.id}
      onClick={(event) => onSelect(file.id, event)}
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

export function kindOf(file: FileRecord): string {
  if (isFolder(file)) return "Folder";
  return file.extension === null ? "File" : file.extension.toUpperCase();
}
