/// <reference types="vite/client" />
interface ImportMetaEnv {
  readonly VITE_SYNCLINE_URL?: string;
  readonly VITE_SYNCLINE_LIBRARY?: string;
  readonly VITE_SYNCLINE_TOKEN?: string;
}
