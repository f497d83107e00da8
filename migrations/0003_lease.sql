-- A leader whose lease has ended may not write, even when nobody took over (LEAD-22): a process that was
-- stopped in the middle of a write finds out here, by the database's clock.
DROP TRIGGER advance_fence;
--> statement-breakpoint
CREATE TRIGGER advance_fence INSTEAD OF INSERT ON advance BEGIN
  UPDATE library SET head = NEW.head + NEW.count
    WHERE epoch = NEW.epoch AND leader_device_id = NEW.leader_device_id AND head = NEW.head
    AND lease_expires_at > CAST(unixepoch('subsec') * 1000 AS INTEGER);
  SELECT RAISE(ABORT, 'GUARD:epoch') WHERE changes() IS NOT 1;
END;
