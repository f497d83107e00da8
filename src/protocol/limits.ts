import { PAGE_BYTES } from "../base/size.ts";

/** Changes of one batch, and mutations of one line: constants of the protocol, for callers make theirs by them. */
export const batchChanges = 1_000;
/** What is told of a body or a record that is not as it should be: so many issues, of so many characters. */
export const issuesTold = 100;
export const issueCharacters = 300;
export const lineMutations = 100;

/**
 * Every limit of the service, in one table. Past a limit the answer is 413, 429 or 503, never an
 * out-of-memory. `createService` takes overrides for all of them.
 */
export interface Limits {
  /** Bytes of one commit, query or other small body. */
  readonly bodyBytes: number;
  /** Bytes of one batch body. */
  readonly batchBodyBytes: number;
  /** Bytes of all bodies over 64 KiB that are in memory at once. */
  readonly bodiesBytes: number;
  /** Bytes of all answers over 64 KiB that wait for their readers at once. */
  readonly answersBytes: number;
  /** Bytes of one bulk body, after decompression. It streams, so this bounds disk, not memory. */
  readonly bulkBodyBytes: number;
  /** Bytes of one record as JSON; above it libSQL over Hrana becomes unreliable. */
  readonly recordBytes: number;
  /** How deep arrays and objects of a body may nest. */
  readonly nestingDepth: number;
  /** Milliseconds a body may take to arrive. */
  readonly bodyTimeoutMs: number;
  /** Milliseconds a bulk body may send nothing before the operation is interrupted. */
  readonly bulkStallMs: number;
  /** Changes a resilient batch writes in one transaction (TM-29). */
  readonly resilientChunk: number;
  /** Bytes of stored records that one transaction may concern. */
  readonly transactionBytes: number;
  /** Records a bulk operation writes in one transaction. */
  readonly bulkChunk: number;
  /** Bytes of the body after which a transaction is full too. */
  readonly bulkChunkBytes: number;
  /** Failures a bulk answer lists. */
  readonly bulkFailures: number;
  /** Changes and bytes that one group may commit together. */
  readonly groupChanges: number;
  readonly groupBytes: number;
  /** Commits and bytes that may wait for the committer of one library. */
  readonly queueLength: number;
  readonly queueBytes: number;
  /** Milliseconds one transaction of `withTx` or an action may take. */
  readonly transactionMs: number;
  readonly pageDefault: number;
  readonly pageMax: number;
  /** Bytes of entries or records that one read may bring into memory. */
  readonly pageBytes: number;
  /** Bytes of stored records that the answer to one query may hold. */
  readonly answerBytes: number;
  /** Events and bytes that the ring of one library keeps while someone listens. */
  readonly ringEvents: number;
  readonly ringBytes: number;
  /** Bytes handed to one subscriber before it must have read them. */
  readonly subscriberBytes: number;
  /** Bytes of events joined into one write; what a stuck socket holds is of this size. */
  readonly chunkBytes: number;
  readonly streamsPerLibrary: number;
  readonly streamsPerToken: number;
  readonly heartbeatMs: number;
  /** Milliseconds after which a reader that takes nothing is closed. */
  readonly slowReaderMs: number;
  /** Milliseconds after which a stream is asked to come back, so that load can move. */
  readonly streamMaxAgeMs: number;
  /** Devices that a library lets in; those that were revoked leave their place (SEC-07). */
  readonly devicesPerLibrary: number;
  readonly openLibraries: number;
  /** Milliseconds a request waits for one of those to be closed, when all of them are in use. */
  readonly libraryWaitMs: number;
  /** Bytes that the caches of all open files may have together; past them each uses what it has again. */
  readonly databasesBytes: number;
  /** Milliseconds after which an unused library is closed. */
  readonly libraryIdleMs: number;
  /** Milliseconds a read waits for `min_sequence`. */
  readonly minSequenceWaitMs: number;
  readonly ticketTtlMs: number;
  readonly verifiedTokens: number;
  /** Requests a token may make each second, and at once. */
  readonly requestsPerSecond: number;
  readonly requestBurst: number;
  /** Milliseconds entries are kept at least (LOG-11). */
  readonly retentionMs: number;
  readonly trimEveryMs: number;
  /** Milliseconds of one database call before it counts as lost. */
  readonly databaseMs: number;
  /** Milliseconds that a request which was handed on waits for the leader's answer. */
  readonly forwardMs: number;
}

const second = 1_000;
const day = 24 * 60 * 60 * second;

export const defaultLimits: Limits = {
  bodyBytes: 1_048_576,
  batchBodyBytes: 16_777_216,
  bodiesBytes: 134_217_728,
  answersBytes: 268_435_456,
  bulkBodyBytes: 4_294_967_296,
  recordBytes: 524_288,
  nestingDepth: 32,
  bodyTimeoutMs: 30 * second,
  bulkStallMs: 30 * second,
  resilientChunk: 100,
  transactionBytes: 33_554_432,
  bulkChunk: 2_000,
  bulkChunkBytes: PAGE_BYTES,
  bulkFailures: 100,
  groupChanges: 1_000,
  groupBytes: 8_388_608,
  queueLength: 10_000,
  queueBytes: 67_108_864,
  transactionMs: 5 * second,
  pageDefault: 100,
  pageMax: 1_000,
  pageBytes: PAGE_BYTES,
  answerBytes: 33_554_432,
  ringEvents: 16_384,
  ringBytes: 8_388_608,
  subscriberBytes: 65_536,
  chunkBytes: 8_192,
  streamsPerLibrary: 20_000,
  streamsPerToken: 20_000,
  heartbeatMs: 15 * second,
  slowReaderMs: 60 * second,
  streamMaxAgeMs: day,
  devicesPerLibrary: 10_000,
  openLibraries: 1_000,
  libraryWaitMs: 5 * second,
  databasesBytes: 268_435_456,
  libraryIdleMs: 60 * second,
  minSequenceWaitMs: 5 * second,
  ticketTtlMs: 60 * second,
  verifiedTokens: 10_000,
  requestsPerSecond: 50_000,
  requestBurst: 100_000,
  retentionMs: 30 * day,
  trimEveryMs: day,
  databaseMs: 10 * second,
  forwardMs: 20 * second,
};
