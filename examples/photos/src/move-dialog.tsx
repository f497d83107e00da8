import { Button, Group, Modal, NavLink, ScrollArea, Text } from "@mantine/core";
import { ChevronLeft, Folder } from "lucide-react";
import { useEffect, useState } from "react";
import { isFolder, useGrowingList, useRecord } from "./sync.ts";

/** Chooses a folder of the location by walking through them. */
export function MoveDialog(props: {
  locationId: string;
  moved: ReadonlySet<string>;
  onMove: (parentId: string | null) => void;
  onClose: () => void;
}) {
  const { locationId, moved } = props;
  const [at, setAt] = useState<string | null>(null);
  const { data, isComplete, onEnd } = useGrowingList(
    "file.by_directory",
    { locationId, parentId: at },
    5_000,
  );
  // Folders stand among the files: all of them are looked through.
  useEffect(() => onEnd?.(), [onEnd]);
  const location = useRecord("location", locationId);
  const folder = useRecord("file", at);
  const folders = data?.filter((file) => isFolder(file) && !moved.has(file.id)) ?? [];
  const name = at === null ? location.data?.name : folder.data?.name;
  return (
    <Modal opened onClose={props.onClose} title="Move to" centered size="sm">
      {at !== null && (
        <NavLink
          label={name}
          fw={600}
          leftSection={<ChevronLeft size={16} />}
          onClick={() => setAt(folder.data?.parentId ?? null)}
        />
      )}
      <ScrollArea.Autosize mah={320} mih={120}>
        {folders.map((file) => (
          <NavLink
            key={file.id}
            label={file.name}
            leftSection={<Folder size={17} />}
            onClick={() => setAt(file.id)}
            data-testid="move-folder"
          />
        ))}
        {folders.length === 0 && (
          <Text size="sm" c="dimmed" p="sm">
            {isComplete ? "No folders in here." : "Looking for folders…"}
          </Text>
        )}
      </ScrollArea.Autosize>
      <Group justify="flex-end" mt="md">
        <Button variant="default" onClick={props.onClose}>
          Cancel
        </Button>
        <Button onClick={() => props.onMove(at)} data-testid="move-here">
          Move to {name ?? "…"}
        </Button>
      </Group>
    </Modal>
  );
}
