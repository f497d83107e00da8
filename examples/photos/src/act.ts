import { notifications } from "@mantine/notifications";
import type { MutationHandle } from "../../../src/client/api.ts";

/** Tells a person when the service refused what the page already showed. */
export function tellFailure<Output>(handle: MutationHandle<Output>): MutationHandle<Output> {
  handle.done.catch((error: unknown) => {
    notifications.show({ color: "red", title: "This was taken back", message: explain(error) });
  });
  return handle;
}

/** The sentence in a problem of the service, or in an error. */
export function explain(problem: unknown): string {
  const { detail, message } = (problem ?? {}) as { detail?: string; message?: string };
  return detail ?? message ?? "The service refused it.";
}
