import { FileText, Folder } from "lucide-react";
import { memo, useLayoutEffect, useRef } from "react";
import type { FileRecord } from "./sync.ts";
import { isFolder } from "./sync.ts";
import { draw } from "./picture.ts";

/** The picture of a photo, or a sign for what is none. */
export function Thumb({ file, size }: { file: FileRecord; size?: number }) {
  if (isFolder(file)) {
    return (
      <span className="thumb thumb-folder" style={{ width: size, height: size }}>
        <Folder size={size === undefined ? 44 : 20} strokeWidth={1.6} />
      </span>
    );
  }
  if (file.mime?.startsWith("image/") !== true) {
    return (
      <span className="thumb thumb-other" style={{ width: size, height: size }}>
        <FileText size={size === undefined ? 40 : 18} strokeWidth={1.5} />
      </span>
    );
  }
  return <Picture id={file.id} group={file.parentId} size={size} />;
}

/** What a photo shows. */
export const Picture = memo(function Picture(props: {
  id: string;
  group: string | null;
  size?: number | undefined;
  className?: string;
}) {
  const { id, group, size, className = "thumb" } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    if (canvas.current !== null) draw(canvas.current, id, group ?? "");
  }, [id, group]);
  const width = size === undefined ? 360 : size * 3;
  return (
    <canvas
      ref={canvas}
      className={className}
      width={width}
      height={(width * 2) / 3}
      style={{ width: size, height: size }}
      aria-hidden="true"
    />
  );
});
