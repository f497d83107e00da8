import { ActionIcon, Button, Group, Menu, Paper, Text, TextInput, Tooltip } from "@mantine/core";
import { FolderInput, Images, Tag, Trash2, X } from "lucide-react";
import { useMemo, useState } from "react";
import type { MutationHandle } from "../../../src/client/api.ts";
import { tellFailure } from "./act.ts";
import { MoveDialog } from "./move-dialog.tsx";
import { useSelection } from "./selection.tsx";
import type { FileRecord } from "./sync.ts";
import { useClient, useQuery } from "./sync.ts";
import { count } from "./format.ts";

/** Acts on a thousand at a time, as many as one action takes. */
function inParts(ids: readonly string[], act: (part: string[]) => MutationHandle): void {
  for (let at = 0; at < ids.length; at += 1_000) tellFailure(act(ids.slice(at, at + 1_000)));
}

/** Options that a menu shows before something is typed. */
const optionsMax = 50;

/** What can be done with the selected files; shows itself when there are any. */
export function SelectionBar({ files }: { files: readonly FileRecord[] }) {
  const client = useClient();
  const { ids, clear } = useSelection();
  const [isMoving, setIsMoving] = useState(false);
  const albums = useQuery("album.list", { limit: 1_000 });
  const tags = useQuery("tag.list", { limit: 1_000 });
  const chosen = useMemo(() => files.filter((file) => ids.has(file.id)), [files, ids]);
  const fileIds = chosen.map((file) => file.id);
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
            inParts(fileIds, (part) => client.action("album.add_files", { albumId, fileIds: part }))
          }
        />
        <Choice
          label="Tag"
          icon={<Tag size={16} />}
          testId="apply-tag"
          options={tags.data ?? []}
          onChoose={(tagId) =>
            inParts(fileIds, (part) => client.action("tag.apply", { tagId, fileIds: part }))
          }
        />
        <RoundButton
          label="Delete"
          color="red"
          icon={<Trash2 size={16} />}
          testId="delete"
          onClick={() => {
            inParts(fileIds, (ids) => client.action("file.delete", { ids }));
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
            inParts(fileIds, (ids) => client.action("file.move", { ids, parentId }));
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

/** Chooses one by its name; where there are many, typing finds it. */
function Choice(props: {
  label: string;
  icon: React.ReactNode;
  testId: string;
  options: readonly { readonly id: string; readonly name: string }[];
  onChoose: (id: string) => void;
}) {
  const [text, setText] = useState("");
  const wanted = text.trim().toLowerCase();
  const found = props.options.filter(({ name }) => name.toLowerCase().includes(wanted));
  return (
    <Menu position="top" shadow="md" onClose={() => setText("")}>
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
      <Menu.Dropdown>
        {props.options.length > optionsMax && (
          <TextInput
            size="xs"
            mb={4}
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
            placeholder={`Find one of ${props.options.length.toLocaleString()}`}
            aria-label={`Find in ${props.label}`}
            data-autofocus
          />
        )}
        <div className="choices">
          {found.slice(0, optionsMax).map(({ id, name }) => (
            <Menu.Item key={id} onClick={() => props.onChoose(id)}>
              {name}
            </Menu.Item>
          ))}
          {found.length === 0 && <Menu.Label>There is none.</Menu.Label>}
          {found.length > optionsMax && (
            <Menu.Label>
              {count(found.length - optionsMax, "more", "more")}: type to find them
            </Menu.Label>
          )}
        </div>
      </Menu.Dropdown>
    </Menu>
  );
}
