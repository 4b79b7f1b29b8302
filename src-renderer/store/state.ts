import type { CudaPackAction, CudaPackEntry } from '#shared/domain/cuda-pack.ts';
import type { Devices } from '#shared/domain/device.ts';
import type { Expand, TextToImageParams, UpscaleParams } from '#shared/domain/job.ts';
import type { Label, QueueAction, Zip } from '#shared/domain/job-record.ts';
import type { ModelAction, ModelEntry, ModelLimits, NewModel } from '#shared/domain/model.ts';
import type { Verification } from '#shared/domain/verification.ts';
import type { DesktopBridge, DesktopCommand, DesktopSettings, UpdateCall, UpdateState } from '#shared/protocol/desktop.ts';
import type { Clients, ControlNets, Info, Labels, LogLine, Loras, Models, Network, Sizes, Upload } from '#shared/protocol/http.ts';
import type { ClientMessage, ServerMessage } from '#shared/protocol/messages.ts';
import type { SettingsAnswer, SettingsChange } from '#shared/protocol/settings.ts';
import type { GenerateParams } from '../client/create-job.ts';
import type { HttpFailure, StudioHttp } from '../client/http.ts';
import type { Connection } from '../client/socket.ts';
import type { KeyValueStorage } from '../client/stored.ts';
import type { Draft, Problems } from './draft.ts';
import type { GalleryFilter } from './gallery-filter.ts';
import type { Job, Jobs } from './jobs.ts';
import type { NewNotice, Notice, UndoText } from './notice.ts';
import type { CountedTokens } from './prompt-cut.ts';
import type { Screen, SettingsPart } from './screen.ts';
import type { Settings } from './settings.ts';
import type { Template } from './template.ts';

/** What the store needs from its environment. */
export interface StudioDeps {
  send(message: ClientMessage): void;
  /** Drops a message that has not been answered yet, so it is not sent again after a reconnect. */
  withdraw(requestId: string): void;
  http: StudioHttp;
  /** Shared by all windows of this browser. */
  storage: KeyValueStorage;
  /** Private to this window; survives a reload. */
  windowStorage: KeyValueStorage;
  /** Null in a browser. */
  desktop: DesktopBridge | null;
  /** The id under which the server knows all windows of this browser. */
  clientId: string;
  /** Makes request ids unique among the windows that share a client id. */
  windowId: string;
  /** An integer that fits a seed's 32 bits. */
  randomSeed(): number;
  now(): number;
  pause(durationMs: number): Promise<void>;
}

export interface ConnectionSlice {
  connection: Connection;
  /** True from the loss of the connection until the next one is open. */
  isAway: boolean;
  /** True once this window has reached the server; the outage message depends on it. */
  wasConnected: boolean;
  /** True after a message or response that does not match the contract: page and server have different versions. */
  isOutdated: boolean;
  /** True from a job that failed because the disk is full until the next job is accepted. */
  isDiskFull: boolean;
  connectionChanged(connection: Connection): void;
  foundOutdated(): void;
}

export interface DraftSlice {
  draft: Draft;
  problems: Problems;
  /** Earlier prompts, newest first, without duplicates. */
  prompts: readonly string[];
  /** The seed of the most recent request. */
  lastSeed: number | null;
  /** Changes fields; their problems are cleared until the next check. */
  editDraft(change: Partial<Draft>): void;
  /** Changes the prompt as the user types. Characters typed in quick succession are undone together. */
  typePrompt(prompt: string): void;
  /** Replaces fields in one step. What was typed goes into the history, and `undoDraft` or a notice brings it back. */
  replaceDraft(change: Partial<Draft>): void;
  /** Undoes the latest change of the prompt, with the other fields that changed in the same step. False without one. */
  undoDraft(): boolean;
  redoDraft(): boolean;
  /** Checks all fields, so an invalid value is reported at its field before anything is sent. */
  checkFields(): void;
  /** Loads the prompts that another window of this browser has saved. */
  reloadPrompts(): void;
  /** Fills the form with the parameters of an image, as far as they are known. */
  reuse(params: Partial<TextToImageParams>): void;
  /** Fills the form from a link; keys are the parameter names of the contract. The values are checked as if typed. */
  fill(params: Readonly<Record<string, string | number>>): void;
  /** Fills the form with the settings in an image file, or reports that it has none. */
  reuseFile(image: Blob): void;
  /** Metadata of one of the server's image files; null after reporting a failure. */
  readFile(filename: string): Promise<Upload | null>;
  /** Whether an image here is whole, known and repeatable; with `repeat` it is made again and compared. Null after a failure, which was shown. */
  verifyFile(filename: string, repeat: boolean): Promise<Verification | null>;
  /** Sends the jobs of the form. False, with `problems` filled in, if a field is invalid. */
  make(): boolean;
}

export interface JobsSlice {
  jobs: Jobs;
  /** The id under which the server knows all windows of this browser. */
  clientId: string;
  /** Requests that the server has not answered yet, by `request_id`. */
  requests: Readonly<Record<string, GenerateParams>>;
  /** The job on the stage. */
  selectedId: string | null;
  /** True while the stage follows the jobs of this window; selecting a job by hand ends it. */
  isFollowing: boolean;
  submit(paramsOfEach: GenerateParams[]): void;
  /** The jobs of the latest submission in the order of their requests; null for a request that has no job yet. */
  batch: ReadonlyArray<{ requestId: string; jobId: string | null }>;
  /** True while the stage shows all images of the batch instead of one job. */
  isBatchShown: boolean;
  showBatch(): void;
  /** Makes the image of a job again with a new seed; the form stays as it is. */
  vary(id: string): void;
  /** Requests a larger version of an image; `image` is an upload's id or a file name. */
  upscale(params: Pick<UpscaleParams, 'image' | 'scale'> & { upscaler?: string }): void;
  /** Takes back a request that has not reached the server. */
  withdrawRequest(requestId: string): void;
  receive(message: ServerMessage): void;
  select(id: string | null): void;
  /** Puts a job of any age on the stage. */
  openJob(id: string): void;
  cancel(id: string): void;
  /** Cancels everything that this browser has queued or started; a notice offers to queue it again. */
  cancelMine(): void;
  /** Cancels the queue of all clients as well. */
  cancelEverything(): void;
  retry(id: string): void;
  /** Loads the newest jobs: after a reload, a reconnect, or when a job of an unknown client appears. */
  refreshJobs(): void;
  /** Applies the server's order of the queue, and loads the next jobs whose parameters are unknown. */
  takeOrder(ids: readonly string[]): void;
  /** Merges listed jobs into the known ones. Progress and previews, which only live messages carry, are kept. */
  mergeJobs(jobs: Job[]): void;
}

export interface QueueSlice {
  /** State of the server's machine; null until the first response. */
  info: Info | null;
  refreshInfo(): void;
  changeQueue(action: QueueAction): void;
}

export interface GallerySlice {
  gallery: readonly Job[];
  galleryFilter: GalleryFilter;
  /** Cursor of the next page; null at the end. */
  galleryNext: number | null;
  galleryState: 'idle' | 'loading' | 'failed';
  /** Ids of the images that the next bulk action applies to. */
  selection: ReadonlySet<string>;
  /** Sizes of the images in the gallery, most frequent first. */
  gallerySizes: Sizes['sizes'];
  /** Albums and tags. */
  labels: Labels['labels'];
  /** The image in the viewer; null while the viewer is closed. */
  openImageId: string | null;
  openImage(id: string | null): void;
  /** The two images that are compared; null while the comparison is closed. */
  compared: readonly [string, string] | null;
  compareImages(ids: readonly [string, string] | null): void;
  /** Where the grid is scrolled to and which image has the focus; kept while another screen is shown. */
  galleryPlace: { scrollTopPx: number; focusedId: string | null };
  setGalleryPlace(change: Partial<GallerySlice['galleryPlace']>): void;
  /** Images that arrived while the grid was scrolled down, newest first. */
  galleryArrivals: readonly Job[];
  /** Puts the arrivals at the top of the list. */
  showArrivals(): void;
  /** Loads the values to filter by: sizes and clients. */
  refreshGalleryChoices(): void;
  filterGallery(change: GalleryFilter): void;
  /** Loads the list again without losing the place in it. */
  refreshGallery(): void;
  loadMoreGallery(): void;
  star(id: string, starred: boolean): void;
  starMany(ids: readonly string[], starred: boolean): Promise<void>;
  /** Puts images into an album or takes them out, or likewise a tag. */
  setLabel(ids: readonly string[], label: Label, isSet: boolean): Promise<void>;
  /** The images as a zip; null after reporting a failure. */
  downloadMany(choice: Zip): Promise<Blob | null>;
  /** True while a zip is made. */
  isZipping: boolean;
  /** An image was starred or unstarred, here or by another client. */
  starred(id: string, starred: boolean): void;
  /** Moves images to the bin; a notice offers to restore them. */
  remove(ids: readonly string[]): void;
  restore(ids: readonly string[]): void;
  /** Deletes images in the bin permanently. */
  removePermanently(ids: readonly string[]): void;
  emptyBin(): void;
  setSelection(ids: Iterable<string>): void;
  toggleSelected(id: string): void;
  /** Selects the range from the anchor, which is the image that was toggled last, to this one. */
  selectTo(id: string): void;
  /** A job has changed its status: a finished image joins the gallery, a deleted one leaves it. */
  jobChanged(job: Job): void;
}

export interface NoticesSlice {
  notices: readonly Notice[];
  notify(notice: NewNotice): void;
  /** Reports a failed call. An unreachable server is reported by the connection banner instead. */
  notifyFailure(failure: unknown): void;
  dismiss(id: number): void;
  /** Closes the undo notices of an action that was undone in another way. */
  dismissUndo(text: UndoText): void;
  /** Runs the undo of the newest notice that has one. False without one. */
  undoLast(): boolean;
}

export interface ViewSlice {
  screen: Screen;
  settings: Settings;
  /** True while finished images show original and upscaled version side by side of a line. */
  isComparing: boolean;
  setComparing(isComparing: boolean): void;
  show(screen: Screen): void;
  /** The section of the settings that was asked for; null for all of them from the top. */
  settingsPart: SettingsPart | null;
  showSettings(part: SettingsPart | null): void;
  /** True once the banner about the demo model was closed in this browser. */
  isDemoBannerClosed: boolean;
  closeDemoBanner(): void;
  changeSettings(change: Partial<Settings>): void;
  /** Loads the settings that another window of this browser has saved. */
  reloadSettings(): void;
}

export interface DesktopSlice {
  /** True in the desktop window, false in a browser. */
  isDesktop: boolean;
  /** Tray, autostart and notifications; null in a browser and until the main process has answered. */
  desktopSettings: DesktopSettings | null;
  refreshDesktopSettings(): void;
  changeDesktopSettings(change: Partial<DesktopSettings>): void;
  /** State of the app's updater; null in a browser and until the main process has answered. */
  update: UpdateState | null;
  askUpdate(call: UpdateCall): void;
  showInFolder(filename: string): void;
  /** Opens the system's folder picker; null if nothing was chosen. */
  chooseFolder(): Promise<string | null>;
  /** Runs a command from a menu item, a link, a dropped file or a notification. */
  runCommand(command: DesktopCommand): void;
}

/** What the server reveals only to its own machine and to clients with the access key. Null until the first response. */
export interface ServerSlice {
  serverSettings: SettingsAnswer | null;
  network: Network | null;
  clients: Clients | null;
  devices: Devices | null;
  /** True while the devices are tested. */
  isProbing: boolean;
  /** Oldest first. */
  log: readonly LogLine[] | null;
  /** True if the server refused for want of the access key. */
  isKeyMissing: boolean;
  refreshServerSettings(): void;
  /** Null on success, otherwise the reason. */
  changeServerSettings(change: SettingsChange): Promise<HttpFailure | null>;
  refreshNetwork(): void;
  refreshClients(): void;
  /** Loads the devices; `again` tests each of them first. */
  refreshDevices(again: boolean): void;
  /** Appends the lines that were logged since the last call. */
  refreshLog(): void;
}

export interface TokensSlice {
  /** For the most recently counted prompt, which may lag behind the form; null before the first. */
  tokens: CountedTokens | null;
  /** Counts the tokens of the prompt in the form. */
  countTokens(): void;
}

export interface SavedSlice {
  /** Saved by the user, newest first, one per prompt. */
  templates: readonly Template[];
  /** The user's own styles, oldest first. */
  ownStyles: readonly string[];
  /** Saves the form as a template. */
  saveTemplate(): void;
  forgetTemplate(prompt: string): void;
  addStyle(style: string): void;
  forgetStyle(style: string): void;
  /** Loads what another window of this browser has saved. */
  reloadSaved(): void;
}

export interface ModelsSlice {
  /** Installed and available models; null until the first response. */
  models: Models | null;
  refreshModels(): void;
  receiveModel(model: ModelEntry): void;
  actOnModel(name: string, action: ModelAction): void;
  /** Null on success, otherwise the reason. */
  addModel(model: NewModel): Promise<HttpFailure | null>;
  limitDownloads(limits: ModelLimits): void;
  /** The CUDA libraries for NVIDIA GPUs; null until the first response. */
  cudaPack: CudaPackEntry | null;
  refreshCudaPack(): void;
  receiveCudaPack(pack: CudaPackEntry): void;
  /** `install` implies consent to the licences. */
  actOnCudaPack(action: CudaPackAction): void;
}

/** An uploaded image, and the settings in its file if there are any. */
export interface Source {
  id: string;
  width: number;
  height: number;
  settings: Partial<TextToImageParams> | null;
}

/** What the images of the form start from. */
export interface Start extends Source {
  /** How much may change, above 0 and up to 1. */
  strength: number;
  /** The upload of a mask: only what is white in it is repainted. */
  mask: { id: string; featherPx: number } | null;
  /** Pixels to paint beyond each edge. */
  expand: Expand;
  /** Makes only what is around the mask, and keeps the image's size. */
  onlyMasked: boolean;
}

/** The image that guides the next ones, and how. */
export interface Control extends Omit<NonNullable<TextToImageParams['control']>, 'image' | 'identity'> {
  id: string;
}

export interface SourceSlice {
  /** The image that the window asks about. */
  source: Source | null;
  /** Uploads an image file and asks what to do with it. If it is too large for jobs, its settings are used. */
  openSource(image: Blob): void;
  /** Starts from an image made here; `isRepaint` opens the mask editor. */
  startFromImage(filename: string, isRepaint: boolean): void;
  /** Whether the mask of the start is being painted. */
  isMaskOpen: boolean;
  openMask(isOpen: boolean): void;
  closeSource(): void;
  /** Null while images are made from text alone. */
  start: Start | null;
  /** Makes the next images from the source; the form takes its shape. */
  startFromSource(isRepaint: boolean): void;
  installedControlNets: ControlNets['controlnets'];
  refreshControlNets(): void;
  /** Null while no image guides the next ones. */
  control: Control | null;
  /** Uploads an image that guides the next ones. */
  openControl(image: Blob): void;
  /** Guides the next images by one made here. */
  guideByImage(filename: string): void;
  editControl(change: Partial<Control>): void;
  endControl(): void;
  installedLoras: Loras['loras'];
  refreshLoras(): void;
  /** LoRAs of the next images. */
  chosenLoras: NonNullable<TextToImageParams['loras']>;
  chooseLoras(loras: NonNullable<TextToImageParams['loras']>): void;
  /** Uploads a mask for the start. */
  setMask(mask: Blob, featherPx: number): void;
  editStart(change: Partial<Pick<Start, 'strength' | 'mask' | 'expand' | 'onlyMasked'>>): void;
  endStart(): void;
  /** Fills the form with the settings in the file. */
  reuseSource(): void;
}

/** Everything that the window knows and can do. */
export type StudioState = ConnectionSlice &
  SourceSlice &
  DraftSlice &
  JobsSlice &
  QueueSlice &
  GallerySlice &
  NoticesSlice &
  ViewSlice &
  DesktopSlice &
  ServerSlice &
  TokensSlice &
  SavedSlice &
  ModelsSlice;
