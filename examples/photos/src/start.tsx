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
  keepLibrary,
  keepToken,
  lastLibrary,
  listLibraries,
  takeToken,
} from "./session.ts";
import type { LibrarySummary } from "./session.ts";
import { SynclineProvider, openClient } from "./sync.ts";
import type { PhotosClient } from "./sync.ts";

interface Opened {
  readonly client: PhotosClient;
  readonly library: LibrarySummary;
  readonly libraries: readonly LibrarySummary[];
}

/** One preparation at a time, also when an effect runs twice. */
let preparing: Promise<readonly LibrarySummary[]> | null = null;

/** The libraries that the token opens; a service that has none gets the sample. */
function prepare(token: string): Promise<readonly LibrarySummary[]> {
  preparing ??= listLibraries(token)
    .then(async (found) => (found.length > 0 ? found : [await createSample(token)]))
    .finally(() => (preparing = null));
  return preparing;
}

/** From a token to an open library. */
export function Start() {
  const [token, setToken] = useState(takeToken);
  const [libraries, setLibraries] = useState<readonly LibrarySummary[] | null>(null);
  const [chosen, setChosen] = useState(lastLibrary);
  const [opened, setOpened] = useState<Opened | null>(null);
  const [problem, setProblem] = useState<string | null>(null);

  useEffect(() => {
    if (token === null) return;
    prepare(token).then(setLibraries, (error: Error) => {
      setProblem(error.message);
      setToken(null);
    });
  }, [token]);

  useEffect(() => {
    const library = libraries?.find(({ id }) => id === chosen) ?? libraries?.[0];
    if (token === null || libraries === null || library === undefined) return undefined;
    const client = openClient(library.id, token);
    keepLibrary(library.id);
    setOpened({ client, library, libraries });
    return () => {
      setOpened(null);
      void client.close();
    };
  }, [token, libraries, chosen]);

  if (token === null) return <AskToken problem={problem} onToken={setToken} />;
  if (opened === null) {
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
    <SynclineProvider client={opened.client}>
      <Shell
        {...opened}
        onChoose={setChosen}
        onSample={() => {
          void createSample(token).then((made) => {
            setLibraries((known) => [...(known ?? []), made]);
            setChosen(made.id);
          });
        }}
        onSignOut={() => {
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
