import * as v from "valibot";

/** A failure that one sentence explains to the person at the terminal. */
export class CommandError extends Error {
  override readonly name: string = "CommandError";
}

/** What was typed cannot be understood; the exit code is 2. */
export class UsageError extends CommandError {
  override readonly name = "UsageError";
}

const problemSchema = v.looseObject({
  title: v.string(),
  status: v.optional(v.number(), 0),
  detail: v.optional(v.string(), ""),
  code: v.optional(v.string(), ""),
  retry: v.optional(v.string(), "never"),
  index: v.optional(v.number()),
  leader_url: v.nullish(v.string()),
  issues: v.optional(v.array(v.object({ path: v.string(), message: v.string() })), []),
});

/** A problem as a service sent it; unlike the protocol's own type, nothing in it is taken on trust. */
export type ReceivedProblem = v.InferOutput<typeof problemSchema>;

/** The service answered with a problem. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly problem: ReceivedProblem;

  constructor(problem: ReceivedProblem) {
    super(describeProblem(problem));
    this.problem = problem;
  }
}

/** Reads a problem, or makes one of whatever else an answer carried. */
export function parseProblem(status: number, text: string): ReceivedProblem {
  const parsed = v.safeParse(problemSchema, readJson(text));
  if (parsed.success) return { ...parsed.output, status: parsed.output.status || status };
  const detail = text.replaceAll(/\s+/g, " ").trim().slice(0, 200);
  return {
    title: `The service answered ${status}`,
    status,
    detail,
    code: "",
    retry: "never",
    issues: [],
  };
}

/** Title, detail, code and issues of a problem, on one line. */
export function describeProblem(value: unknown): string {
  const parsed = v.safeParse(problemSchema, value);
  if (!parsed.success) return "an answer that is no problem document";
  const { title, detail, code, index, issues } = parsed.output;
  const sentence = detail === "" || detail === title ? title : `${title}: ${detail}`;
  const facts = [
    ...(code === "" ? [] : [code]),
    ...(index === undefined ? [] : [`index ${index}`]),
    // The detail names the first issues itself.
    ...issues
      .map(({ path, message }) => (path === "" ? message : `${path}: ${message}`))
      .filter((issue) => !detail.includes(issue)),
  ];
  return facts.length === 0 ? sentence : `${sentence} (${facts.join("; ")})`;
}

/** The value of a JSON text; null for what is none. */
export function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
