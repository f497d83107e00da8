/** A bound on what many hold together, such as bytes in memory. */
export interface Room {
  /** Answers false where so much more does not fit. */
  take(amount: number): boolean;
  give(amount: number): void;
}

export function createRoom(most: number): Room {
  let held = 0;
  return {
    take: (amount) => {
      if (held + amount > most) return false;
      held += amount;
      return true;
    },
    give: (amount) => void (held -= amount),
  };
}
