import "@mantine/core/styles.css";
import "@mantine/notifications/styles.css";
import "./styles.css";
import { MantineProvider, createTheme } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { createRoot } from "react-dom/client";
import { Start } from "./start.tsx";

const theme = createTheme({
  primaryColor: "teal",
  defaultRadius: "md",
  fontFamily: "Inter, system-ui, -apple-system, 'Segoe UI', sans-serif",
  headings: {
    fontFamily: "Inter, system-ui, -apple-system, 'Segoe UI', sans-serif",
    fontWeight: "650",
  },
  cursorType: "pointer",
});

// Only what is built: while working on the pages, old ones would be in the way.
if (import.meta.env.PROD) void navigator.serviceWorker?.register("/sw.js");

const root = document.getElementById("root");
if (root !== null) {
  createRoot(root).render(
    <MantineProvider theme={theme} defaultColorScheme="auto">
      <Notifications position="bottom-center" />
      <Start />
    </MantineProvider>,
  );
}
