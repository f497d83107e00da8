DROP INDEX `outbox_waiting`;--> statement-breakpoint
ALTER TABLE `outbox` ADD `sequence` integer;--> statement-breakpoint
CREATE INDEX `outbox_taken` ON `outbox` (`sequence`) WHERE "outbox"."sequence" is not null;--> statement-breakpoint
CREATE INDEX `outbox_waiting` ON `outbox` (`id`) WHERE "outbox"."problem" is null and "outbox"."sequence" is null;