import { ActionIcon, Text, Tooltip } from "@mantine/core";
import {
  DndContext,
  KeyboardSensor,
  PointerSensor,
  closestCenter,
  useSensor,
  useSensors,
} from "@dnd-kit/core";
import type { DragEndEvent } from "@dnd-kit/core";
import {
  SortableContext,
  rectSortingStrategy,
  sortableKeyboardCoordinates,
  useSortable,
} from "@dnd-kit/sortable";
import { CSS } from "@dnd-kit/utilities";
import { Star, X } from "lucide-react";
import { memo, useMemo } from "react";
import { tellFailure } from "./act.ts";
import { EditableName } from "./editable-name.tsx";
import { useSelection } from "./selection.tsx";
import type { App, AlbumRecord } from "./sync.ts";
import { useClient, useQuery, useRecord } from "./sync.ts";
import type { RecordOf } from "../../../src/index.ts";
import { Thumb } from "./thumb.tsx";
import { count } from "./format.ts";
import { Empty, Missing, Page } from "./views.tsx";

type ItemRecord = RecordOf<App, "album_item">;

/** An album: its photos in an order that everybody can change by dragging. */
export function AlbumView({ id }: { id: string }) {
  const client = useClient();
  const album = useRecord("album", id);
  const { data: items, error } = useQuery("album.items", { albumId: id });
  const sensors = useSensors(
    useSensor(PointerSensor, { activationConstraint: { distance: 6 } }),
    useSensor(KeyboardSensor, { coordinateGetter: sortableKeyboardCoordinates }),
  );
  const ids = useMemo(() => (items ?? []).map((item) => item.id), [items]);
  const onDragEnd = ({ active, over }: DragEndEvent) => {
    if (over === null || active.id === over.id) return;
    const [from, to] = [ids.indexOf(String(active.id)), ids.indexOf(String(over.id))];
    const afterId = (from < to ? ids[to] : ids[to - 1]) ?? null;
    tellFailure(client.action("album.move_item", { id: String(active.id), afterId }));
  };
  if (album.data === null) return album.isLoading ? null : <Empty text="This album is gone." />;
  const { name, description, coverId } = album.data;
  return (
    <Page
      title={
        <EditableName
          value={name}
          label="Name of the album"
          testId="album-name"
          onChange={(next) => tellFailure(client.update("album", id, { name: next }))}
        />
      }
      note={[description, items === null ? null : count(items.length, "photo")]
        .filter(Boolean)
        .join("  ·  ")}
    >
      {items === null ? (
        <Missing error={error} />
      ) : items.length === 0 ? (
        <Empty text="Select photos in a folder and add them to this album." />
      ) : (
        <DndContext sensors={sensors} collisionDetection={closestCenter} onDragEnd={onDragEnd}>
          <SortableContext items={ids} strategy={rectSortingStrategy}>
            <div className="scroller sortable" data-testid="album-grid">
              {items.map((item) => (
                <ItemCard
                  key={item.id}
                  item={item}
                  album={album.data ?? emptyAlbum}
                  isCover={item.fileId === coverId}
                />
              ))}
            </div>
          </SortableContext>
        </DndContext>
      )}
    </Page>
  );
}

const emptyAlbum: AlbumRecord = { id: "", version: 0, name: "", description: null, coverId: null };

const ItemCard = memo(function ItemCard(props: {
  item: ItemRecord;
  album: AlbumRecord;
  isCover: boolean;
}) {
  const { item, album, isCover } = props;
  const client = useClient();
  const selection = useSelection();
  const { data: file } = useRecord("file", item.fileId);
  const sortable = useSortable({ id: item.id });
  if (file === null) return null;
  return (
    <figure
      ref={sortable.setNodeRef}
      className="card"
      style={{
        transform: CSS.Translate.toString(sortable.transform),
        transition: sortable.transition,
      }}
      data-dragging={sortable.isDragging}
      data-selected={selection.ids.has(file.id)}
      data-testid="album-item"
      data-id={item.id}
      data-file-id={file.id}
      onClick={(event) => selection.click(file.id, event, [file])}
      {...sortable.attributes}
      {...sortable.listeners}
    >
      <div className="card-picture">
        <Thumb file={file} />
        <div className="card-tools">
          <Tooltip label={isCover ? "This is the cover" : "Use as cover"}>
            <ActionIcon
              size="sm"
              variant="filled"
              color={isCover ? "yellow" : "dark"}
              aria-label="Use as cover"
              onClick={(event) => {
                event.stopPropagation();
                tellFailure(client.update("album", album.id, { coverId: file.id }));
              }}
            >
              <Star size={13} />
            </ActionIcon>
          </Tooltip>
          <Tooltip label="Take out of the album">
            <ActionIcon
              size="sm"
              variant="filled"
              color="dark"
              aria-label="Take out of the album"
              data-testid="remove-item"
              onClick={(event) => {
                event.stopPropagation();
                tellFailure(client.delete("album_item", item.id));
              }}
            >
              <X size={13} />
            </ActionIcon>
          </Tooltip>
        </div>
      </div>
      <Text component="figcaption" size="xs" truncate>
        {file.name}
      </Text>
    </figure>
  );
});
