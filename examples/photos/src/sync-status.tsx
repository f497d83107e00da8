import { Badge, Button, Group, Loader, Popover, Stack, Switch, Text } from "@mantine/core";
import { CloudOff } from "lucide-react";
import { useEffect, useState } from "react";
import { openJobs } from "../../../src/client/index.ts";
import type { Job } from "../../../src/client/index.ts";
import { explain } from "./act.ts";
import type { PhotosClient } from "./sync.ts";
import { useSyncStatus } from "./sync.ts";

const looks = {
  live: { color: "teal", label: "In sync" },
  "catching-up": { color: "blue", label: "Catching up" },
  connecting: { color: "yellow", label: "Connecting" },
  offline: { color: "orange", label: "Offline" },
  "needs-auth": { color: "red", label: "Token expired" },
  closed: { color: "gray", label: "Closed" },
} as const;

/** How this window stands to the service, and a switch to cut it off. */
export function SyncIndicator({ client }: { client: PhotosClient }) {
  const { connection, isPaused, cursor, pendingCount, rejected } = useSyncStatus();
  const { color, label } = looks[connection];
  const text = pendingCount > 0 ? `${label}, ${pendingCount} waiting` : label;
  return (
    <Group gap="sm" wrap="nowrap">
      <RunningJob client={client} />
      <Popover width={300} position="bottom-end" shadow="md">
        <Popover.Target>
          <Badge
            component="button"
            size="lg"
            variant="light"
            color={rejected.length > 0 ? "red" : color}
            leftSection={<span className={`dot dot-${connection}`} />}
            tt="none"
            fw={550}
            data-testid="sync-status"
            data-connection={connection}
            data-cursor={cursor}
            data-pending={pendingCount}
            aria-label={text}
          >
            <span className="status-text">{text}</span>
          </Badge>
        </Popover.Target>
        <Popover.Dropdown>
          <Stack gap="xs">
            <Fact name="Connection" value={label} />
            <Fact name="Last change applied" value={`#${Math.max(cursor, 0)}`} />
            <Fact name="Changes waiting to be sent" value={String(pendingCount)} />
            {rejected.map((one) => (
              <Group key={one.mutationId} justify="space-between" wrap="nowrap">
                <Text size="xs" c="red" lineClamp={2}>
                  {explain(one.problem)}
                </Text>
                <Button size="compact-xs" variant="subtle" onClick={() => one.discard()}>
                  Dismiss
                </Button>
              </Group>
            ))}
          </Stack>
        </Popover.Dropdown>
      </Popover>
      <Switch
        checked={isPaused}
        onChange={(event) => client.setOffline(event.currentTarget.checked)}
        color="orange"
        size="md"
        thumbIcon={
          <CloudOff size={11} color={isPaused ? "var(--mantine-color-orange-6)" : "gray"} />
        }
        aria-label="Work offline"
        title="Work offline"
        data-testid="offline-switch"
      />
    </Group>
  );
}

/** What the service is busy with, such as `syncline index` of a large folder. */
function RunningJob({ client }: { client: PhotosClient }) {
  const [jobs, setJobs] = useState<readonly Job[]>([]);
  useEffect(() => {
    const opened = openJobs(client);
    const forget = opened.subscribe(() => setJobs(opened.getSnapshot()));
    return () => {
      forget();
      opened.close();
    };
  }, [client]);
  const running = jobs.findLast(({ status }) => status === "running");
  if (running === undefined) return null;
  return (
    <Group gap={6} wrap="nowrap" visibleFrom="md" data-testid="running-job">
      <Loader size="xs" />
      <Text size="xs" c="dimmed" style={{ whiteSpace: "nowrap" }}>
        {running.name}: {running.message}
      </Text>
    </Group>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <Group justify="space-between">
      <Text size="sm" c="dimmed">
        {name}
      </Text>
      <Text size="sm" fw={550}>
        {value}
      </Text>
    </Group>
  );
}
