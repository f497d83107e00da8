import { useState } from "react";

const env = import.meta.env;

// `syncline dev -- vite` sets them. In earnest `routes.ts` answers them to who signs in.
export const url = env.VITE_SYNCLINE_URL ?? location.origin;
export const library: string | undefined = env.VITE_SYNCLINE_LIBRARY ?? localStorage["library"];
export const token = env.VITE_SYNCLINE_TOKEN ?? (() => openSession());

/** A token for who is signed in, or signs in with this form. */
async function openSession(form: FormData | null = null): Promise<string> {
  const answer = await fetch("/session", { method: "POST", body: form });
  if (answer.status === 401) return "";
  if (!answer.ok) throw new Error(`/session answers ${answer.status}.`);
  const session = (await answer.json()) as { library: string; token: string };
  // So that the page opens offline too.
  localStorage["library"] = session.library;
  return session.token;
}

export function SignIn() {
  const [problem, setProblem] = useState("");
  const signIn = (form: FormData) =>
    openSession(form).then(
      (given) => (given === "" ? setProblem("That is not the password.") : location.reload()),
      (error: Error) => setProblem(error.message),
    );
  return (
    <form action={(form) => void signIn(form)}>
      <input
        name="password"
        type="password"
        autoComplete="current-password"
        placeholder="Password"
        required
      />
      {isSecureContext ? problem : "Browsers keep a sign-in on https and on localhost only."}
    </form>
  );
}
