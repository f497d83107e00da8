import { ActionIcon, Chip, Group, ScrollArea, Select, Stack, Text } from "@mantine/core";
import { Heart } from "lucide-react";
import { tellFailure } from "./act.ts";
import { EditableName } from "./editable-name.tsx";
import { kindOf } from "./file-table.tsx";
import type { TagRecord } from "./sync.ts";
import { useClient, useQuery, useRecord } from "./sync.ts";
import { count, formatDate, formatSize } from "./format.ts";
import { Thumb } from "./thumb.tsx";

/** All about one file, and what can be said about it. */
export function Details({ id }: { id: string }) {
  const client = useClient();
  const { data: file } = useRecord("file", id);
  if (file === null) return null;
  return (
    <ScrollArea h="100%" scrollbarSize={6}>
      <Stack p="md" gap="md" data-testid="details" data-id={id}>
        <div className="detail-picture">
          <Thumb file={file} />
        </div>
        <Group justify="space-between" wrap="nowrap" align="flex-start">
          <Text fw={600} component="div" className="detail-name">
            <EditableName
              value={file.name}
              label="Name of the file"
              testId="file-name"
              onChange={(name) => tellFailure(client.action("file.rename", { id, name }))}
            />
          </Text>
          <FavoriteButton id={id} />
        </Group>
        <dl className="facts">
          <Fact name="Kind" value={kindOf(file)} />
          <Fact name="Size" value={formatSize(file.size)} />
          <Fact name="Modified" value={formatDate(file.modifiedAt)} />
          <Fact name="Version" value={String(file.version)} />
        </dl>
        <div>
          <Text size="xs" fw={600} c="dimmed" mb={8}>
            Tags
          </Text>
          <TagChips fileId={id} />
        </div>
      </Stack>
    </ScrollArea>
  );
}

function FavoriteButton({ id }: { id: string }) {
  const client = useClient();
  const { data } = useQuery("file.metadata", { fileId: id });
  const isFavorite = data?.[0]?.favorite === true;
  return (
    <ActionIcon
      variant="subtle"
      color={isFavorite ? "pink" : "gray"}
      aria-label={isFavorite ? "No longer a favorite" : "Make it a favorite"}
      aria-pressed={isFavorite}
      data-testid="favorite"
      onClick={() => tellFailure(client.action("file.favorite", { id, favorite: !isFavorite }))}
    >
      <Heart size={18} fill={isFavorite ? "currentColor" : "none"} />
    </ActionIcon>
  );
}

/** Chips beyond those that are on. */
const chipsMax = 24;

/** The tags there are; those the file carries are on. */
function TagChips({ fileId }: { fileId: string }) {
  const client = useClient();
  const { data: tags } = useQuery("tag.list", { limit: 1_000 });
  const { data: links } = useQuery("tag.links", { fileId });
  const carried = new Set(links?.map((link) => link.tagId));
  const set = (tagId: string, isOn: boolean) =>
    tellFailure(client.action(isOn ? "tag.apply" : "tag.remove", { tagId, fileIds: [fileId] }));
  const isNear = ({ id }: TagRecord, at: number) => at < chipsMax || carried.has(id);
  const far = tags?.filter((tag, at) => !isNear(tag, at)) ?? [];
  return (
    <Group gap={6}>
      {tags?.filter(isNear).map((tag) => (
        <Chip
          key={tag.id}
          size="xs"
          color={tag.color ?? "teal"}
          variant="light"
          checked={carried.has(tag.id)}
          onChange={(isOn) => set(tag.id, isOn)}
          data-testid="tag-chip"
          data-id={tag.id}
        >
          {tag.name}
        </Chip>
      ))}
      {far.length > 0 && (
        <Select
          key={carried.size}
          data={far.map(({ id, name }) => ({ value: id, label: name }))}
          value={null}
          onChange={(tagId) => tagId !== null && set(tagId, true)}
          searchable
          limit={50}
          size="xs"
          w="100%"
          placeholder={`${count(far.length, "more tag")}: type to find one`}
          aria-label="Add a tag"
          data-testid="add-tag"
        />
      )}
    </Group>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </>
  );
}
