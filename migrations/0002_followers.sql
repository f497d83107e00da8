CREATE TABLE `follower` (
	`library_id` text PRIMARY KEY NOT NULL,
	`leader_url` text NOT NULL,
	`token` text,
	`snapshot_types` text,
	`snapshot_key` text DEFAULT '' NOT NULL,
	`snapshot_sequence` integer,
	`snapshot_history_id` text,
	`is_full` integer DEFAULT true NOT NULL,
	`noticed_types` text DEFAULT '[]' NOT NULL
);
--> statement-breakpoint
CREATE TABLE `jobs` (
	`id` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`library_id` text NOT NULL,
	`status` text NOT NULL,
	`progress` integer NOT NULL,
	`message` text NOT NULL,
	`input` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
ALTER TABLE `devices` ADD `revoked_at` integer;--> statement-breakpoint
ALTER TABLE `outbox` ADD `path` text DEFAULT 'commit' NOT NULL;--> statement-breakpoint
ALTER TABLE `outbox` ADD `device_id` text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE `outbox` ADD `problem` text;
--> statement-breakpoint
-- The fence of a replica: inserting into `follow` moves its head, or aborts the batch when someone else
-- has moved it, when the epoch is older, or when the database no longer follows (promoted).
CREATE VIEW follow (head, next, epoch) AS SELECT 0, 0, 0 WHERE 0;
--> statement-breakpoint
CREATE TRIGGER follow_fence INSTEAD OF INSERT ON follow BEGIN
  UPDATE library SET head = NEW.next, epoch = NEW.epoch
    WHERE head = NEW.head AND epoch <= NEW.epoch AND EXISTS (SELECT 1 FROM follower);
  SELECT RAISE(ABORT, 'GUARD:follow') WHERE changes() IS NOT 1;
END;
