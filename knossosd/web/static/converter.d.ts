// Types of /static/converter.js, whose two classes are global. Docs: /docs/embed and docs/api.md.

/** Where an archive belongs: the mod's id, the package's name and the archive's file name from the document. */
interface TaskWatcherPlace {
  mod: string;
  package: string;
  file: string;
}

/** How far an archive is: bytes of the running stage, and bytes per second. `total` is null while it is not known. */
interface TaskWatcherFile extends TaskWatcherPlace {
  stage: "waiting" | "downloading" | "inspecting" | "mirroring" | "done" | "failed";
  done: number;
  total: number | null;
  rate: number;
}

/** The arguments that callbacks get. Besides the server's events there are two of the client itself. */
interface TaskWatcherEvents {
  /** A line `"<LEVEL>: <message>"`. */
  log_message: [line: string];
  /** 0 to 1, and a line for each running archive. */
  progress: [fraction: number, text: string];
  /** All archives, before the first begins. */
  files: [files: TaskWatcherPlace[]];
  /** One archive. */
  file: [file: TaskWatcherFile];
  /** The link to an image: answer with `emit("captcha_response", text)`. */
  captcha: [image: string];
  /** No answer is needed any more. */
  captcha_over: [];
  /** There is no such ticket (any more). */
  task_status: [status: "missing"];
  /** The conversion has ended, well or not. */
  done: [success: boolean];
  /** The client is connected. */
  connected: [];
  /** The connection is lost, or was not made: why, in words for people. The client tries again by itself. */
  disconnected: [reason: string];
}

/** A selector, an element or a jQuery object. */
type TaskWatcherPart = string | Element | DocumentFragment | ArrayLike<Element>;

/** Watches a conversion. */
declare class TaskWatcher {
  /**
   * @param server the server's `ws://` or `wss://` address
   * @param ticket the conversion's number
   * @param interactive whether captchas are shown and may be answered
   */
  constructor(server: string, ticket: number | string, interactive?: boolean);

  /** Call `callback` with the arguments of every event of this name. */
  on<Name extends keyof TaskWatcherEvents>(event: Name, callback: (...args: TaskWatcherEvents[Name]) => void): this;
  on(event: string, callback: (...args: unknown[]) => void): this;

  /** Call the callbacks of an event, as if the server had sent it. */
  trigger<Name extends keyof TaskWatcherEvents>(event: Name, ...args: TaskWatcherEvents[Name]): void;

  /** Tell the server something. Throws unless the watcher is interactive. */
  emit(event: "captcha_response", text: string): void;
  emit(event: string, ...args: unknown[]): void;

  /** Begin to watch, until the conversion has ended. */
  connect(): void;

  /** Stop watching. */
  disconnect(): void;

  /** Show progress, log and captchas in `container`; `template`'s content is used in place of the default look. */
  bootstrap_ui(container: TaskWatcherPart, template?: TaskWatcherPart | HTMLTemplateElement): this;

  /** Show captchas in `container`, and send what is typed. `bootstrap_ui` does it by itself. */
  captcha_ui(container: TaskWatcherPart): this;
}

/** The old name: always interactive; `url` may end in `/ws/converter`. */
declare class Converter extends TaskWatcher {
  constructor(url: string, ticket: number | string);
}
