-- The fence and the append-only rule, in the database, so that no mistake of a node can break them.
-- Inserting into `advance` moves the head, or aborts the whole batch when another epoch leads (I3).
CREATE VIEW advance (count, epoch, leader_device_id, head) AS SELECT 0, 0, '', 0 WHERE 0;
--> statement-breakpoint
CREATE TRIGGER advance_fence INSTEAD OF INSERT ON advance BEGIN
  UPDATE library SET head = NEW.head + NEW.count
    WHERE epoch = NEW.epoch AND leader_device_id = NEW.leader_device_id AND head = NEW.head;
  SELECT RAISE(ABORT, 'GUARD:epoch') WHERE changes() IS NOT 1;
END;
--> statement-breakpoint
-- Redaction empties `data`; nothing else of an entry ever changes (LOG-03).
CREATE TRIGGER sync_log_append_only BEFORE UPDATE ON sync_log
WHEN NEW.data IS NOT NULL OR NEW.sequence IS NOT OLD.sequence OR NEW.record_id IS NOT OLD.record_id
  OR NEW.model_type IS NOT OLD.model_type OR NEW.epoch IS NOT OLD.epoch OR NEW.version IS NOT OLD.version
BEGIN SELECT RAISE(ABORT, 'GUARD:append-only'); END;
--> statement-breakpoint
-- Trimming raises `oldest_sequence` first, in the same batch.
CREATE TRIGGER sync_log_trim BEFORE DELETE ON sync_log
WHEN OLD.sequence >= (SELECT oldest_sequence FROM library)
BEGIN SELECT RAISE(ABORT, 'GUARD:append-only'); END;
