/** Every counter, with its help text. Prometheus names carry `syncline_` before and `_total` behind. */
export const counters = {
  requests: "HTTP requests answered, by method and status.",
  commits: "Transactions committed, by kind.",
  entries: "Sync-log entries written.",
  problems: "Requests answered with a problem, by code.",
  group_splits: "Groups divided because the database refused one member.",
  events_published: "Events handed to the hub.",
  frames_delivered: "Chunks handed to stream subscribers.",
  ring_reads: "Chunks taken from the ring for subscribers.",
  log_reads: "Pages read from the sync log for subscribers behind the ring.",
  stream_resets: "Streams told to start afresh, by reason.",
  slow_readers_closed: "Streams closed because their reader made no progress.",
  bulk_records: "Records written by bulk operations.",
  requests_forwarded: "Requests handed on to the leader, by outcome.",
  relay_streams: "Streams opened to a leader to relay its events.",
  lease_changes: "Leases taken, lost and released.",
  entries_trimmed: "Sync-log entries removed by retention.",
  unchanged_commits: "Commits that changed nothing and took no sequence.",
  follower_records: "Records a follower took from snapshots.",
  follower_repairs: "Resource types a follower fetched again, because their checksums differed.",
  database_retries: "Database calls tried again after a busy or broken connection.",
} as const;

export const gauges = {
  stream_subscribers: "Open event streams.",
  open_libraries: "Libraries whose database is open.",
  bulks_running: "Bulk operations that run now.",
  commit_queue_length: "Commits that wait for the committer.",
  follower_lag: "Entries the leader has and the follower has not.",
  follower_halted: "1 while a follower waits for an upgrade, a token or a person.",
  library_head: "The newest sequence of an open library.",
} as const;

export const histograms = {
  request_seconds: "Time to answer a request.",
  commit_seconds: "From a commit's arrival in the queue to its answer.",
  commit_group_size: "Commits that shared one transaction.",
  delivery_lag_seconds: "From the commit's own time to the hand-over to subscribers at the head.",
  query_seconds: "Time to resolve a plugin's query.",
} as const;

/** Every span, with what it covers. */
export const spans = {
  "http.request": "One request, from its arrival to its answer.",
  "commit.group": "One group: its read, its plan and its transaction.",
  "commit.bulk": "One bulk operation, from its first record to its entry.",
  "commit.bulk_chunk": "One chunk of a bulk: its checks and its transaction.",
  "stream.deliver": "From a committed transaction to the hand-over of its events to subscribers.",
  "stream.catch_up": "One page read from the sync log for subscribers behind the ring.",
} as const;

/** What the log tells at the level `debug`, with the milliseconds each took and what it handled (OBS-02). */
export const phases = {
  "commit.group": "A group was committed.",
  "commit.bulk_chunk": "A chunk of a bulk was written.",
  "follower.apply": "Entries of the leader were applied.",
  "follower.snapshot": "Records of the leader were taken over.",
  "library.prepare": "A library's database was brought up to date.",
  "merge.page": "Records of another library were merged.",
} as const;

export type PhaseName = keyof typeof phases;
export type CounterName = keyof typeof counters;
export type GaugeName = keyof typeof gauges;
export type HistogramName = keyof typeof histograms;
export type SpanName = keyof typeof spans;
