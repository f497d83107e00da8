CREATE TABLE `bulk_operations` (
	`token` text PRIMARY KEY NOT NULL,
	`resource_type` text NOT NULL,
	`mode` text NOT NULL,
	`state` text NOT NULL,
	`device_id` text NOT NULL,
	`hints` text NOT NULL,
	`first_record_id` text,
	`received_count` integer NOT NULL,
	`affected_count` integer NOT NULL,
	`failed_count` integer NOT NULL,
	`sequence` integer,
	`answer` text,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `checksums` (
	`resource_type` text PRIMARY KEY NOT NULL,
	`count` integer NOT NULL,
	`sum` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `conflicts` (
	`id` text PRIMARY KEY NOT NULL,
	`resource_type` text NOT NULL,
	`record_id` text NOT NULL,
	`device_id` text NOT NULL,
	`expected_version` integer NOT NULL,
	`current_version` integer NOT NULL,
	`operation` text NOT NULL,
	`data` text,
	`base` text,
	`created_at` integer NOT NULL,
	`resolved_at` integer,
	`choice` text
);
--> statement-breakpoint
CREATE TABLE `devices` (
	`id` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`public_key` text,
	`created_at` integer NOT NULL,
	`seen_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `libraries` (
	`id` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`description` text,
	`state` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `library` (
	`id` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`description` text,
	`history_id` text NOT NULL,
	`head` integer NOT NULL,
	`epoch` integer NOT NULL,
	`leader_device_id` text,
	`leader_url` text,
	`lease_expires_at` integer NOT NULL,
	`oldest_sequence` integer NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `mutations` (
	`mutation_id` text PRIMARY KEY NOT NULL,
	`fingerprint` text NOT NULL,
	`first_sequence` integer,
	`last_sequence` integer,
	`answer` text,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `nodes` (
	`device_id` text PRIMARY KEY NOT NULL,
	`url` text,
	`seen_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `outbox` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`mutation_id` text NOT NULL,
	`request` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `outbox_mutation_id_unique` ON `outbox` (`mutation_id`);--> statement-breakpoint
CREATE TABLE `revocations` (
	`kind` text NOT NULL,
	`value` text NOT NULL,
	`revoked_at` integer NOT NULL,
	PRIMARY KEY(`kind`, `value`)
);
--> statement-breakpoint
CREATE TABLE `sync_log` (
	`sequence` integer PRIMARY KEY NOT NULL,
	`epoch` integer NOT NULL,
	`transaction_id` text NOT NULL,
	`device_id` text NOT NULL,
	`mutation_id` text,
	`timestamp_ms` integer NOT NULL,
	`domain` text NOT NULL,
	`model_type` text NOT NULL,
	`record_id` text NOT NULL,
	`change_type` text NOT NULL,
	`version` integer NOT NULL,
	`operation` text,
	`data` text
);
--> statement-breakpoint
CREATE INDEX `sync_log_record` ON `sync_log` (`model_type`,`record_id`);--> statement-breakpoint
CREATE TABLE `sync_positions` (
	`device_id` text PRIMARY KEY NOT NULL,
	`sequence` integer NOT NULL,
	`epoch` integer NOT NULL,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `tombstones` (
	`model_type` text NOT NULL,
	`record_id` text NOT NULL,
	`version` integer NOT NULL,
	`sequence` integer NOT NULL,
	`deleted_at` integer NOT NULL,
	PRIMARY KEY(`model_type`, `record_id`)
);
--> statement-breakpoint
CREATE TABLE `album_items` (
	`id` text PRIMARY KEY NOT NULL,
	`version` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`origin_device_id` text NOT NULL,
	`album_id` text NOT NULL,
	`file_id` text NOT NULL,
	`position` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `album_items_album` ON `album_items` (`album_id`);--> statement-breakpoint
CREATE TABLE `albums` (
	`id` text PRIMARY KEY NOT NULL,
	`version` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`origin_device_id` text NOT NULL,
	`name` text NOT NULL,
	`description` text,
	`cover_id` text
);
--> statement-breakpoint
CREATE INDEX `albums_name` ON `albums` (`name`);--> statement-breakpoint
CREATE TABLE `files` (
	`id` text PRIMARY KEY NOT NULL,
	`version` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`origin_device_id` text NOT NULL,
	`location_id` text NOT NULL,
	`parent_id` text,
	`name` text NOT NULL,
	`extension` text,
	`size` integer NOT NULL,
	`mime` text,
	`modified_at` text,
	`content_id` text
);
--> statement-breakpoint
CREATE INDEX `files_directory` ON `files` (`location_id`,`parent_id`,`name`);--> statement-breakpoint
CREATE INDEX `files_parent` ON `files` (`parent_id`);--> statement-breakpoint
CREATE TABLE `user_metadata` (
	`id` text PRIMARY KEY NOT NULL,
	`version` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`origin_device_id` text NOT NULL,
	`file_id` text NOT NULL,
	`favorite` integer NOT NULL,
	`hidden` integer NOT NULL,
	`notes` text,
	`custom` text
);
--> statement-breakpoint
CREATE UNIQUE INDEX `user_metadata_file_id_unique` ON `user_metadata` (`file_id`);--> statement-breakpoint
CREATE TABLE `locations` (
	`id` text PRIMARY KEY NOT NULL,
	`version` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`origin_device_id` text NOT NULL,
	`device_id` text NOT NULL,
	`name` text NOT NULL,
	`path_hint` text
);
--> statement-breakpoint
CREATE TABLE `file_tags` (
	`id` text PRIMARY KEY NOT NULL,
	`version` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`origin_device_id` text NOT NULL,
	`file_id` text NOT NULL,
	`tag_id` text NOT NULL
);
--> statement-breakpoint
CREATE INDEX `file_tags_tag` ON `file_tags` (`tag_id`);--> statement-breakpoint
CREATE INDEX `file_tags_file` ON `file_tags` (`file_id`);--> statement-breakpoint
CREATE TABLE `tags` (
	`id` text PRIMARY KEY NOT NULL,
	`version` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`origin_device_id` text NOT NULL,
	`name` text NOT NULL,
	`color` text
);
