import { Window } from "happy-dom";
import { useEffect } from "react";
import type { ReactNode } from "react";

function Last({ onDone }: { readonly onDone: () => void }) {
  useEffect(onDone, []);
  return null;
}

/**
 * A page to render into, as React does it in a browser: without `act`, so that what renders together is
 * React's own doing. The globals it needs are gone afterwards, so that other tests run without a browser.
 */
export async function openPage() {
  const window = new Window({ url: "http://page.test/" });
  const globals = { window, document: window.document };
  Object.assign(globalThis, globals);
  const { createRoot } = await import("react-dom/client");
  const { flushSync } = await import("react-dom");
  const host = window.document.createElement("div");
  window.document.body.append(host);
  const root = createRoot(host as unknown as Element);
  return {
    /** What a person reads. */
    text: () => host.textContent ?? "",
    render: (node: ReactNode) => flushSync(() => root.render(node)),
    /** Waits until the page shows it. */
    until: async (isShown: () => boolean) => {
      const deadline = Date.now() + 3_000;
      while (!isShown()) {
        if (Date.now() > deadline) throw new Error(`The page still shows: ${host.textContent}`);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    },
    [Symbol.asyncDispose]: async () => {
      flushSync(() => root.unmount());
      // React does what it puts off in order, and looks for the window then: this comes last.
      await new Promise<void>((resolve) => {
        createRoot(window.document.createElement("div") as unknown as Element).render(
          <Last onDone={resolve} />,
        );
      });
      for (const name of Object.keys(globals)) Reflect.deleteProperty(globalThis, name);
      await window.happyDOM.close();
    },
  };
}
