import { Text } from "@mantine/core";
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
import { memo, useCallback, useLayoutEffect, useMemo, useRef } from "react";
import { tellFailure } from "./act.ts";
import { EditableName } from "./editable-name.tsx";
import { useSelection } from "./selection.tsx";
import type { App } from "./sync.ts";
import { countOf, useClient, useGrowingList, useRecord } from "./sync.ts";
import type { RecordOf } from "../../../src/index.ts";
import { Thumb } from "./thumb.tsx";
import { count } from "./format.ts";
import { Empty, Missing, Page } from "./views.tsx";
import { VirtualGrid } from "./virtual-grid.tsx";

type ItemRecord = RecordOf<App, "album_item">;

/** An album: its photos in an order that everybody can change. */
export function AlbumView({ id }: { id: string }) {
  const client = useClient();
  const album = useRecord("album", id);
  const list = useGrowingList("album.items", { albumId: id });
  const { data: items, error, onEnd } = list;
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
      note={[description, items === null ? null : countOf(list, count(items.length, "photo"))]
        .filter(Boolean)
        .join("  ·  ")}
    >
      {items === null ? (
        <Missing error={error} />
      ) : items.length === 0 ? (
        <Empty text="Select photos in a folder and add them to this album." />
      ) : (
        <Photos coverId={coverId} items={items} onEnd={onEnd} />
      )}
    </Page>
  );
}

const alone = { shiftKey: false, ctrlKey: false, metaKey: false };

/** Photos that are moved by dragging, or with Space and the arrows. */
function Photos(props: {
  coverId: string | null;
  items: readonly ItemRecord[];
  onEnd: (() => void) | undefined;
}) {
  const { coverId, items, onEnd } = props;
  const client = useClient();
  const sensors = useSensors(
    useSensor(PointerSensor, { activationConstraint: { distance: 6 } }),
    // Enter shows the details, so Space alone picks up and puts down.
    useSensor(KeyboardSensor, {
      coordinateGetter: sortableKeyboardCoordinates,
      keyboardCodes: { start: ["Space"], cancel: ["Escape"], end: ["Space", "Tab"] },
    }),
  );
  const ids = useMemo(() => items.map((item) => item.id), [items]);
  const onDragEnd = ({ active, over }: DragEndEvent) => {
    if (over === null || active.id === over.id) return;
    const [from, to] = [ids.indexOf(String(active.id)), ids.indexOf(String(over.id))];
    const afterId = (from < to ? ids[to] : ids[to - 1]) ?? null;
    tellFailure(client.action("album.move_item", { id: String(active.id), afterId }));
  };
  const selection = useSelection();
  const latest = useRef(selection);
  useLayoutEffect(() => {
    latest.current = selection;
  });
  const onSelect = useCallback((fileId: string) => latest.current.click(fileId, alone, []), []);
  return (
    <DndContext sensors={sensors} collisionDetection={closestCenter} onDragEnd={onDragEnd}>
      <SortableContext items={ids} strategy={rectSortingStrategy}>
        <VirtualGrid
          items={items}
          onEnd={onEnd}
          scroller={() => ({ "data-testid": "album-grid", "data-count": items.length })}
          draw={(item) => (
            <ItemCard
              key={item.id}
              item={item}
              isCover={item.fileId === coverId}
              isSelected={selection.ids.has(item.fileId)}
              onSelect={onSelect}
            />
          )}
        />
      </SortableContext>
    </DndContext>
  );
}

const ItemCard = memo(function ItemCard(props: {
  item: ItemRecord;
  isCover: boolean;
  isSelected: boolean;
  onSelect: (fileId: string) => void;
}) {
  const { item, isCover, isSelected, onSelect } = props;
  const { data: file } = useRecord("file", item.fileId);
  const sortable = useSortable({ id: item.id });
  if (file === null) return <span />;
  return (
    <figure
      ref={sortable.setNodeRef}
      className="card"
      style={{
        transform: CSS.Translate.toString(sortable.transform),
        transition: sortable.transition,
      }}
      data-dragging={sortable.isDragging}
      data-selected={isSelected}
      data-testid="album-item"
      data-id={item.id}
      data-file-id={file.id}
      onClick={() => onSelect(file.id)}
      {...sortable.attributes}
      {...sortable.listeners}
      aria-label={file.name}
      onKeyDown={(event) => {
        if (event.target !== event.currentTarget) return;
        if (event.key === "Enter") onSelect(file.id);
        sortable.listeners?.["onKeyDown"]?.(event);
      }}
    >
      <div className="card-picture">
        <Thumb file={file} />
        <ItemTools item={item} name={file.name} isCover={isCover} />
      </div>
      <Text component="figcaption" size="xs" truncate>
        {file.name}
      </Text>
    </figure>
  );
});

function ItemTools(props: { item: ItemRecord; name: string; isCover: boolean }) {
  const { item, name, isCover } = props;
  const client = useClient();
  return (
    <div className="card-tools">
      <button
        type="button"
        className="tool"
        title={isCover ? "This is the cover" : "Use as cover"}
        aria-label={`Use ${name} as cover`}
        aria-pressed={isCover}
        onClick={(event) => {
          event.stopPropagation();
          tellFailure(client.update("album", item.albumId, { coverId: item.fileId }));
        }}
      >
        <Star size={13} fill={isCover ? "currentColor" : "none"} />
      </button>
      <button
        type="button"
        className="tool"
        title="Take out of the album"
        aria-label={`Take ${name} out of the album`}
        data-testid="remove-item"
        onClick={(event) => {
          event.stopPropagation();
          tellFailure(client.delete("album_item", item.id));
        }}
      >
        <X size={13} />
      </button>
    </div>
  );
}
