/** A file as the service sends it. */
export interface Row {
  readonly id: string;
  readonly version: number;
  readonly parentId: string;
  readonly name: string;
  readonly size: number;
  readonly mime: string;
  readonly modifiedAt: string;
  readonly contentId: string;
}

/** The answers of all queries. */
export type Table = readonly (readonly Row[])[];

/** Nothing, or when subscribers were told, for a cache that tells them later. */
export type Told = void | Promise<void>;

/** What every cache of the comparison must be able to do. */
export interface Contender {
  hydrate(table: Table): void;
  /** Calls back when the answer of a query changed. */
  subscribe(query: number, listener: () => void): void;
  read(query: number): readonly unknown[];
  /** A row of the server, newer than the one before; subscribers are told before it is done. */
  update(row: Row): Told;
  batch(rows: readonly Row[]): Told;
  /** Applies a row before the server has it, and takes it back. */
  optimistic(row: Row): Told;
}
