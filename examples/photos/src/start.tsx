import {
  Button,
  Center,
  Code,
  Loader,
  Paper,
  PasswordInput,
  Stack,
  Text,
  Title,
} from "@mantine/core";
import { useEffect, useState } from "react";
import { Shell } from "./shell.tsx";
import { createSample } from "./sample.ts";
import {
  forgetToken,
  keepLibraries,
  keepLibrary,
  keepToken,
  knownLibraries,
  lastLibrary,
  listLibraries,
  takeToken,
} from "./session.ts";
import type { LibrarySummary, Refusal } from "./session.ts";
import { SynclineProvider, openClient } from "./sync.ts";
import type { PhotosClient } from "./sync.ts";

/** One preparation at a time, also when an effect runs twice. */
let preparing: Promise<readonly LibrarySummary[]> | null = null;

/** The libraries that the token opens; a service that has none gets the sample. */
function prepare(token: string): Promise<readonly LibrarySummary[]> {
  preparing ??= listLibraries(token)
    .then(async (found) => (found.length > 0 ? found : [await createSample(token)]))
    .finally(() => (preparing = null));
  return preparing;
}

/** The token, also of a link that is opened later in the same window. */
function useToken() {
  const [token, setToken] = useState(takeToken);
  useEffect(() => {
    const look = () => setToken(takeToken());
    addEventListener("hashchange", look);
    return () => removeEventListener("hashchange", look);
  }, []);
  return [token, setToken] as const;
}

/** A client of one library, as long as it is shown. */
function useOpenClient(library: string | undefined, token: string | null): PhotosClient | null {
  const [client, setClient] = useState<PhotosClient | null>(null);
  useEffect(() => {
    if (library === undefined || token === null) return undefined;
    const opened = openClient(library, token);
    keepLibrary(library);
    setClient(opened);
    return () => {
      setClient(null);
      void opened.close();
    };
  }, [library, token]);
  return client;
}

/** From a token to an open library. */
export function Start() {
  const [token, setToken] = useToken();
  const [libraries, setLibraries] = useState(knownLibraries);
  const [chosen, setChosen] = useState(lastLibrary);
  const [problem, setProblem] = useState<string | null>(null);
  const library = libraries?.find(({ id }) => id === chosen) ?? libraries?.[0];
  const client = useOpenClient(library?.id, token);

  useEffect(() => {
    if (libraries !== null) keepLibraries(libraries);
  }, [libraries]);
  useEffect(() => {
    if (token === null) return;
    prepare(token).then(setLibraries, (error: Partial<Refusal>) => {
      // Without the service, what is known is shown as it was.
      if (error.status === undefined && knownLibraries() !== null) return;
      setProblem(error.message ?? null);
      setToken(null);
    });
  }, [token, setToken]);

  if (token === null) return <AskToken problem={problem} onToken={setToken} />;
  if (client === null || library === undefined || libraries === null) {
    return (
      <Center h="100vh">
        <Stack align="center">
          <Loader type="dots" />
          <Text c="dimmed">{libraries === null ? "Preparing your libraries…" : "Opening…"}</Text>
        </Stack>
      </Center>
    );
  }
  return (
    <SynclineProvider client={client}>
      <Shell
        client={client}
        library={library}
        libraries={libraries}
        onChoose={setChosen}
        onSample={() => {
          void createSample(token).then((made) => {
            setLibraries((known) => [...(known ?? []), made]);
            setChosen(made.id);
          });
        }}
        onSignOut={() => {
          void client.signOut();
          forgetToken();
          setToken(null);
          setLibraries(null);
        }}
      />
    </SynclineProvider>
  );
}

function AskToken(props: { problem: string | null; onToken: (token: string) => void }) {
  const [text, setText] = useState("");
  return (
    <Center h="100vh" p="md" className="welcome">
      <Paper p="xl" maw={440} w="100%" shadow="lg" withBorder>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            keepToken(text);
            props.onToken(text.trim());
          }}
        >
          <Stack>
            <Title order={2}>Syncline Photos</Title>
            <Text c="dimmed" size="sm">
              Open the link that <Code>npm run dev</Code> printed, or paste a token from{" "}
              <Code>syncline token --role owner</Code>.
            </Text>
            <PasswordInput
              label="Token"
              value={text}
              onChange={(event) => setText(event.currentTarget.value)}
              error={props.problem}
              data-testid="token-input"
            />
            <Button type="submit" disabled={text.trim() === ""}>
              Open
            </Button>
          </Stack>
        </form>
      </Paper>
    </Center>
  );
}
