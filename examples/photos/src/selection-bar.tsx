import { ActionIcon, Button, Group, Menu, Paper, Text, Tooltip } from "@mantine/core";
import { FolderInput, Images, Tag, Trash2, X } from "lucide-react";
import { useState } from "react";
import { tellFailure } from "./act.ts";
import { MoveDialog } from "./move-dialog.tsx";
import { useSelection } from "./selection.tsx";
import type { FileRecord } from "./sync.ts";
import { useClient, useQuery } from "./sync.ts";
import { count } from "./format.ts";

/** What can be done with the selected files; shows itself when there are any. */
export function SelectionBar({ files }: { files: readonly FileRecord[] }) {
  const client = useClient();
  const { ids, clear } = useSelection();
  const [isMoving, setIsMoving] = useState(false);
  const albums = useQuery("album.list", { limit: 1_000 });
  const tags = useQuery("tag.list", {});
  const chosen = files.filter((file) => ids.has(file.id));
  const fileIds = chosen.map((file) => file.id).slice(0, 1_000);
  const [first] = chosen;
  if (first === undefined) return null;
  return (
    <Paper className="selection-bar" shadow="lg" radius="xl" withBorder data-testid="selection-bar">
      <Group gap={6} wrap="nowrap">
        <Text size="sm" fw={550} px="xs" style={{ whiteSpace: "nowrap" }}>
          {chosen.length === 1 ? "1 selected" : `${count(chosen.length, "item")} selected`}
        </Text>
        <Button
          variant="subtle"
          size="compact-sm"
          leftSection={<FolderInput size={16} />}
          onClick={() => setIsMoving(true)}
          data-testid="move"
        >
          Move
        </Button>
        <Choice
          label="Album"
          icon={<Images size={16} />}
          testId="add-to-album"
          options={albums.data ?? []}
          onChoose={(albumId) =>
            tellFailure(client.action("album.add_files", { albumId, fileIds }))
          }
        />
        <Choice
          label="Tag"
          icon={<Tag size={16} />}
          testId="apply-tag"
          options={tags.data ?? []}
          onChoose={(tagId) => tellFailure(client.action("tag.apply", { tagId, fileIds }))}
        />
        <RoundButton
          label="Delete"
          color="red"
          icon={<Trash2 size={16} />}
          testId="delete"
          onClick={() => {
            tellFailure(client.action("file.delete", { ids: fileIds }));
            clear();
          }}
        />
        <RoundButton label="Select nothing" color="gray" icon={<X size={16} />} onClick={clear} />
      </Group>
      {isMoving && (
        <MoveDialog
          locationId={first.locationId}
          moved={ids}
          onClose={() => setIsMoving(false)}
          onMove={(parentId) => {
            tellFailure(client.action("file.move", { ids: fileIds, parentId }));
            setIsMoving(false);
            clear();
          }}
        />
      )}
    </Paper>
  );
}

function RoundButton(props: {
  label: string;
  color: string;
  icon: React.ReactNode;
  testId?: string;
  onClick: () => void;
}) {
  return (
    <Tooltip label={props.label}>
      <ActionIcon
        variant="subtle"
        color={props.color}
        radius="xl"
        aria-label={props.label}
        data-testid={props.testId}
        onClick={props.onClick}
      >
        {props.icon}
      </ActionIcon>
    </Tooltip>
  );
}

function Choice(props: {
  label: string;
  icon: React.ReactNode;
  testId: string;
  options: readonly { readonly id: string; readonly name: string }[];
  onChoose: (id: string) => void;
}) {
  return (
    <Menu position="top" shadow="md">
      <Menu.Target>
        <Button
          variant="subtle"
          size="compact-sm"
          leftSection={props.icon}
          data-testid={props.testId}
        >
          {props.label}
        </Button>
      </Menu.Target>
      <Menu.Dropdown mah={320} style={{ overflow: "auto" }}>
        {props.options.map(({ id, name }) => (
          <Menu.Item key={id} onClick={() => props.onChoose(id)}>
            {name}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
