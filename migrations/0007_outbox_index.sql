CREATE INDEX `outbox_waiting` ON `outbox` (`id`) WHERE "outbox"."problem" is null;--> statement-breakpoint
CREATE INDEX `outbox_refused` ON `outbox` (`id`) WHERE "outbox"."problem" is not null;