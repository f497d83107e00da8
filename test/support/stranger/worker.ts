import worker, { LibraryObject as Bundled } from "syncline/worker";
import { plugins } from "./syncline.config.ts";

export class LibraryObject extends Bundled {
  protected override readonly plugins = plugins;
}

export default worker;
