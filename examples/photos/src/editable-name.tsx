import { TextInput, UnstyledButton } from "@mantine/core";
import { useState } from "react";

/** A name that becomes a field when it is clicked. Enter keeps the change, Escape drops it. */
export function EditableName(props: {
  value: string;
  label: string;
  testId: string;
  onChange: (value: string) => void;
}) {
  const [draft, setDraft] = useState<string | null>(null);
  // Who ended with a key goes on from the name.
  const [hasKey, setHasKey] = useState(false);
  const finish = () => {
    const next = draft?.trim() ?? "";
    if (next !== "" && next !== props.value) props.onChange(next);
    setDraft(null);
  };
  if (draft === null) {
    return (
      <UnstyledButton
        className="editable"
        autoFocus={hasKey}
        title="Click to rename"
        onClick={() => {
          setHasKey(false);
          setDraft(props.value);
        }}
        data-testid={props.testId}
      >
        {props.value}
      </UnstyledButton>
    );
  }
  return (
    <TextInput
      autoFocus
      size="sm"
      value={draft}
      aria-label={props.label}
      data-testid={`${props.testId}-input`}
      onFocus={(event) => selectStem(event.currentTarget)}
      onChange={(event) => setDraft(event.currentTarget.value)}
      onBlur={finish}
      onKeyDown={(event) => {
        if (event.key !== "Enter" && event.key !== "Escape") return;
        // Else the name, which gets the focus, would take the key for a click.
        event.preventDefault();
        setHasKey(true);
        if (event.key === "Enter") finish();
        else setDraft(null);
      }}
    />
  );
}

/** Selects a name without its extension, which mostly stays. */
function selectStem(input: HTMLInputElement): void {
  const dot = input.value.lastIndexOf(".");
  input.setSelectionRange(0, dot > 0 ? dot : input.value.length);
}
