/** A record as clients hold it. Never changed in place: an unchanged record keeps its identity. */
export interface ClientRecord {
  readonly id: string;
  /** The server's version; 0 for a record that exists only optimistically. */
  readonly version: number;
  readonly [field: string]: unknown;
}

export interface RecordRef {
  readonly type: string;
  readonly id: string;
}

/** Names a record among those of all types. */
export const recordKey = ({ type, id }: RecordRef): string => `${type}:${id}`;

export interface TypedRecord {
  readonly type: string;
  readonly record: ClientRecord;
}

/** A decoded event of the log. Events without a sequence never reach the cache. */
export interface ChangeEvent {
  readonly sequence: number;
  /** How many positions it covers: the base must be complete up to `sequence - span`. */
  readonly span: number;
  readonly transactionId: string;
  readonly mutationId?: string | undefined;
  readonly changed: readonly TypedRecord[];
  /** `version` 0 when the event does not tell it. */
  readonly deleted: readonly (RecordRef & { readonly version: number })[];
  /** Records whose content could not travel: what holds them is stale. */
  readonly touched: readonly RecordRef[];
  readonly bulk?: Bulk | undefined;
}

/** A bulk operation over a type: its queries are stale, or only those of the scopes if there are any. */
export interface Bulk {
  readonly type: string;
  readonly scopes: readonly string[];
}
