import { Text } from "@mantine/core";
import { memo } from "react";
import { open, tap } from "./file-table.tsx";
import { optionProps, useFileKeys } from "./selection.tsx";
import type { FilesProps, OptionProps } from "./selection.tsx";
import { Thumb } from "./thumb.tsx";
import { VirtualGrid } from "./virtual-grid.tsx";

/** Files as pictures. */
export function FileGrid({ files, label, onEnd }: FilesProps) {
  const { selection, onSelect, listProps } = useFileKeys(files, label, open);
  return (
    <VirtualGrid
      items={files}
      onEnd={onEnd}
      scroller={(places) => ({ ...listProps(places), "data-testid": "file-grid" })}
      draw={(file) => (
        <FileCard
          key={file.id}
          file={file}
          isSelected={selection.ids.has(file.id)}
          isLead={selection.lead === file.id}
          onSelect={onSelect}
        />
      )}
    />
  );
}

const FileCard = memo(function FileCard(props: OptionProps) {
  const { file, onSelect } = props;
  return (
    <figure
      {...optionProps(props)}
      className="card"
      data-testid="photo-card"
      onClick={(event) => tap(file, event) || onSelect(file.id, event)}
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
});
