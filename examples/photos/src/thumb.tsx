import { FileText, Folder } from "lucide-react";
import type { FileRecord } from "./sync.ts";
import { isFolder } from "./sync.ts";
import { pictureUrl } from "./picture.ts";

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
  const src = pictureUrl(file.id, file.parentId);
  return (
    <img
      className="thumb"
      src={src}
      alt=""
      draggable={false}
      style={{ width: size, height: size }}
    />
  );
}
