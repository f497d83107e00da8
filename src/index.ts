export { mintToken } from "./auth/token.ts";
export { SyncError } from "./protocol/errors.ts";
export { defineAction, definePlugin, defineQuery, defineResource } from "./resource/define.ts";
export type {
  ActionDefinition,
  ActionTx,
  AnyResource,
  BulkContext,
  BulkNotice,
  BulkPurpose,
  ConflictRule,
  Domain,
  InputOf,
  Plugin,
  QueryDefinition,
  Reader,
  RecordMerge,
  ResourceDefinition,
  RowOf,
  SyncRules,
} from "./resource/define.ts";
export { resourceTable } from "./resource/table.ts";
export { createRegistry } from "./resource/registry.ts";
export type { Registry, ResourceNamed } from "./resource/registry.ts";
export type {
  ActionInput,
  ActionName,
  ActionOutput,
  InsertInput,
  LooseRecord,
  QueryInput,
  QueryItem,
  QueryName,
  QueryResult,
  RecordOf,
  RulesOf,
  TypeName,
  UpdateInput,
} from "./resource/infer.ts";
export type { Answering, Host, Routes } from "./routes.ts";
export type { ActionRule, ClientRules, Draft, QueryRule } from "./resource/rules.ts";
