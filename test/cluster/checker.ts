/**
 * Judges a history by what its clients saw, and by nothing else: no log, no database, no node is asked.
 *
 * A history is strictly serializable here when the sequences that clients were given are one order of
 * all writes that agrees with real time, and when every read and every event fits into that order.
 *
 * @module
 */

/** A write of one record. `outcome` is null when the client never learnt what became of it. */
export interface WriteSeen {
  readonly record: string;
  readonly value: string;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly outcome: { readonly sequence: number; readonly version: number } | "refused" | null;
  /** What the writer said it had seen; the write must then be the next one of its record. */
  readonly expectedVersion?: number;
}

/** A read of one record, at `minSequence` or later. `found` is null when there was none. */
export interface ReadSeen {
  readonly record: string;
  readonly startedAt: number;
  readonly minSequence: number;
  readonly found: { readonly version: number; readonly value: string } | null;
}

/** An event as a subscriber applied it, in the order of arrival. */
export interface EventSeen {
  readonly sequence: number;
  readonly span: number;
  readonly records: readonly {
    readonly record: string;
    readonly version: number;
    readonly value: string;
  }[];
}

export interface SubscriberSeen {
  readonly after: number;
  readonly events: readonly EventSeen[];
}

export interface History {
  readonly writes: readonly WriteSeen[];
  readonly reads: readonly ReadSeen[];
  readonly subscribers: readonly SubscriberSeen[];
}

interface Accepted extends WriteSeen {
  readonly outcome: { readonly sequence: number; readonly version: number };
}

const isAccepted = (write: WriteSeen): write is Accepted =>
  write.outcome !== null && write.outcome !== "refused";

function* checkOrder(accepted: readonly Accepted[]): Generator<string> {
  const bySequence = accepted.toSorted((a, b) => a.outcome.sequence - b.outcome.sequence);
  for (const [index, write] of bySequence.entries()) {
    const before = bySequence[index - 1];
    if (before?.outcome.sequence === write.outcome.sequence)
      yield `two writes were both told sequence ${write.outcome.sequence}`;
  }
  // Whatever ended before a write began must have a lower sequence: walk both orders at once.
  const byEnd = accepted.toSorted((a, b) => a.endedAt - b.endedAt);
  let highest = 0;
  let ended = 0;
  for (const write of accepted.toSorted((a, b) => a.startedAt - b.startedAt)) {
    for (
      let next = byEnd[ended];
      next !== undefined && next.endedAt < write.startedAt;
      next = byEnd[ended]
    ) {
      highest = Math.max(highest, next.outcome.sequence);
      ended += 1;
    }
    if (write.outcome.sequence <= highest)
      yield `a write that began after ${highest} was answered got sequence ${write.outcome.sequence}`;
  }
}

function* checkVersions(accepted: readonly Accepted[]): Generator<string> {
  for (const [record, writes] of Map.groupBy(accepted, (write) => write.record)) {
    let last = 0;
    for (const { outcome, expectedVersion } of writes.toSorted(
      (a, b) => a.outcome.sequence - b.outcome.sequence,
    )) {
      if (outcome.version <= last)
        yield `${record}: version ${outcome.version} at ${outcome.sequence} does not follow ${last}`;
      if (expectedVersion !== undefined && outcome.version !== expectedVersion + 1)
        yield `${record}: a write that expected ${expectedVersion} made version ${outcome.version}`;
      last = outcome.version;
    }
  }
}

/** The value of each version, as far as somebody was told; and the values nobody knows the fate of. */
function indexValues(writes: readonly WriteSeen[]) {
  const known = new Map<string, string>();
  const possible = new Map<string, Set<string>>();
  for (const write of writes) {
    if (isAccepted(write)) known.set(`${write.record}@${write.outcome.version}`, write.value);
    else if (write.outcome === null) {
      const values = possible.get(write.record) ?? new Set();
      possible.set(write.record, values.add(write.value));
    }
  }
  return (record: string, version: number, value: string): boolean => {
    const written = known.get(`${record}@${version}`);
    return written === undefined ? possible.get(record)?.has(value) === true : written === value;
  };
}

function* checkReads({ writes, reads }: History): Generator<string> {
  const isWritten = indexValues(writes);
  const accepted = Map.groupBy(writes.filter(isAccepted), (write) => write.record);
  for (const { record, startedAt, minSequence, found } of reads) {
    if (found !== null && !isWritten(record, found.version, found.value))
      yield `${record}: a read found ${found.value} as version ${found.version}, which nobody wrote`;
    for (const write of accepted.get(record) ?? []) {
      const isOwed = write.endedAt < startedAt && write.outcome.sequence <= minSequence;
      if (isOwed && (found?.version ?? 0) < write.outcome.version)
        yield `${record}: a read at ${minSequence} found version ${found?.version ?? 0}, not ${write.outcome.version} of sequence ${write.outcome.sequence}`;
    }
  }
}

function* checkSubscriber(
  subscriber: SubscriberSeen,
  writes: readonly WriteSeen[],
): Generator<string> {
  const isWritten = indexValues(writes);
  const newest = new Map<string, number>();
  let cursor = subscriber.after;
  for (const { sequence, span, records } of subscriber.events) {
    if (sequence <= cursor) yield `a subscriber at ${cursor} was sent ${sequence}`;
    if (sequence - span > cursor)
      yield `a subscriber at ${cursor} was sent ${sequence} with span ${span}`;
    cursor = sequence;
    for (const { record, version, value } of records) {
      newest.set(record, Math.max(newest.get(record) ?? 0, version));
      if (!isWritten(record, version, value))
        yield `a subscriber was sent ${record} version ${version} with ${value}, which nobody wrote`;
    }
  }
  for (const { record, outcome } of writes.filter(isAccepted)) {
    const isOwed = outcome.sequence > subscriber.after && outcome.sequence <= cursor;
    if (isOwed && (newest.get(record) ?? 0) < outcome.version)
      yield `a subscriber at ${cursor} never saw ${record} version ${outcome.version} of sequence ${outcome.sequence}`;
  }
}

/** Every sentence is something that cannot have happened in a correct service. */
export function findAnomalies(history: History): string[] {
  const accepted = history.writes.filter(isAccepted);
  return [
    ...checkOrder(accepted),
    ...checkVersions(accepted),
    ...checkReads(history),
    ...history.subscribers.flatMap((one) => [...checkSubscriber(one, history.writes)]),
  ];
}
