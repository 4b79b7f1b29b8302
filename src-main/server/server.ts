import { hostname } from 'node:os';
import cors from '@fastify/cors';
import helmet from '@fastify/helmet';
import Fastify, { type FastifyBaseLogger, LogController } from 'fastify';
import { serializerCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import type { CudaPack } from '#main/cuda-pack/cuda-pack.ts';
import type { EngineStatus } from '#main/engine/engine.ts';
import type { Images } from '#main/images/images.ts';
import type { Uploads } from '#main/images/uploads.ts';
import type { Jobs } from '#main/jobs/jobs.ts';
import type { ModelLibrary } from '#main/models/library.ts';
import { limitedAddress, registerAccess } from './access/access-hook.ts';
import type { AccessKey } from './access/access-key.ts';
import { type BodyLimits, defaultBodyLimits, registerBodyLimits } from './body-limits.ts';
import { BrokenRequests } from './broken-request.ts';
import { registerDocs, registerOpenApi } from './docs/docs.ts';
import { registerA1111 } from './doors/a1111/a1111.ts';
import { type DoorTiming, defaultDoorTiming } from './doors/delivery.ts';
import { registerMcp } from './doors/mcp/mcp.ts';
import { registerOpenAi } from './doors/openai/openai.ts';
import { replyWithError } from './error-reply.ts';
import type { App } from './fastify-app.ts';
import { registerJsonBody } from './json-body.ts';
import { hideKeys, type Log } from './log.ts';
import { maxOpenFiles, RESERVED_FILES } from './max-open-files.ts';
import { registerRouteTable } from './route-table.ts';
import { registerBulk } from './routes/bulk.ts';
import { registerClients } from './routes/clients.ts';
import { registerCudaPack } from './routes/cuda-pack.ts';
import { type ListDevices, registerDevices } from './routes/devices.ts';
import { registerExtraModels } from './routes/extra-models.ts';
import { registerHealth } from './routes/health.ts';
import { registerImage } from './routes/image.ts';
import { registerInfo } from './routes/info.ts';
import { registerJobs } from './routes/jobs.ts';
import { registerLog } from './routes/log.ts';
import { registerModels } from './routes/models.ts';
import { registerNetwork } from './routes/network.ts';
import { registerQueue } from './routes/queue.ts';
import { registerSettings } from './routes/settings.ts';
import { type MeasurePrompt, registerTokens } from './routes/tokens.ts';
import { registerUploads } from './routes/uploads.ts';
import { registerWindow } from './routes/window.ts';
import { defaultSocketLimits, isWebSocketUpgrade, registerSocketRoute, registerSocketServer, type SocketLimits } from './socket.ts';
import { createThumbnails } from './thumbnails.ts';
import { createUploadGate, defaultUploadLimits, MAX_UPLOAD_BYTES, type UploadLimits } from './upload-gate.ts';
import { validatorCompiler } from './validate.ts';

const MAX_CONNECTIONS = 16_000;
const MAX_HEADER_BYTES = 16 * 1024;
const MAX_BODY_BYTES = 64 * 1024;
/** Percent-encoded, a name of 30 letters of any script is long. */
const MAX_PARAM_LENGTH = 1024;
const HEADERS_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 30_000;

export interface ServerOptions {
  config: { open: boolean; requireKey: boolean; allowHosts: readonly string[]; allowOrigins: readonly string[]; dataDir: string };
  jobs: Jobs;
  images: Images;
  uploads: Uploads;
  library: ModelLibrary;
  cudaPack: CudaPack;
  engineStatus: () => EngineStatus;
  listDevices: ListDevices;
  accessKey: AccessKey;
  /** Folder of the built window; may be absent. */
  rendererDir: string;
  version: string;
  onnxruntimeVersion: string;
  measurePrompt: MeasurePrompt;
  log: Log;
  socketLimits?: Partial<SocketLimits>;
  bodyLimits?: Partial<BodyLimits>;
  uploadLimits?: Partial<UploadLimits>;
  doorTiming?: Partial<DoorTiming>;
}

/** What the SDKs of other programs send from a page. */
const doorRequestHeaders = [
  ...['arch', 'lang', 'os', 'package-version', 'retry-count', 'runtime', 'runtime-version', 'timeout', 'helper-method', 'async'].map(
    (name) => `x-stainless-${name}`,
  ),
  ...['mcp-protocol-version', 'mcp-session-id', 'mcp-method', 'mcp-name', 'last-event-id'],
];

/** The server with all its routes; it does not listen. Closing it closes its sockets with 1001. */
export async function buildServer(options: ServerOptions): Promise<App> {
  const {
    config,
    jobs,
    images,
    uploads,
    library,
    cudaPack,
    engineStatus,
    listDevices,
    accessKey,
    rendererDir,
    version,
    onnxruntimeVersion,
    measurePrompt,
    log,
  } = options;
  const { open, requireKey, allowHosts, allowOrigins } = config;
  const rules = { open, requireKey, allowHosts, allowOrigins, hostName: hostname };
  const socketLimits = { ...defaultSocketLimits, ...options.socketLimits };
  const bodyLimits = { ...defaultBodyLimits, ...options.bodyLimits };

  const brokenRequests = new BrokenRequests();
  const loggerInstance: FastifyBaseLogger = log;
  const app: App = Fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: MAX_BODY_BYTES,
    // the last resort; registerBodyLimits ends slow bodies before
    requestTimeout: Math.ceil(bodyLimits.totalMs + (MAX_UPLOAD_BYTES / bodyLimits.bytesPerSecond) * 1000),
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    http: {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: 1_000,
      // answered by us, with a code
      requireHostHeader: false,
      shouldUpgradeCallback: isWebSocketUpgrade,
    },
    clientErrorHandler: brokenRequests.answer,
    frameworkErrors: replyWithError,
  }).withTypeProvider<ZodTypeProvider>();
  brokenRequests.watch(app.server);
  // a few more than sockets, so that most refusals are answered; what is beyond is dropped
  app.server.maxConnections = Math.min(MAX_CONNECTIONS, maxOpenFiles() - RESERVED_FILES / 2);
  // a client that closes its sending side after the request still waits for the answer
  Object.assign(app.server, { httpAllowHalfOpen: true });
  // their size has a limit; one that was dropped could be the one that says that the request was forwarded
  app.server.maxHeadersCount = 0;
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler((error, request, reply) => replyWithError(error, request, reply));
  app.removeContentTypeParser('text/plain');
  registerJsonBody(app);
  registerBodyLimits(app, bodyLimits, brokenRequests);
  app.addHook('onResponse', async (request, reply) => {
    request.log.debug({ method: request.method, url: hideKeys(request.url), status: reply.statusCode, ms: Math.round(reply.elapsedTime) }, 'answered');
  });

  const routes = registerRouteTable(app);
  await app.register(helmet, contentPolicy);
  await registerSocketServer(app, socketLimits);
  const access = registerAccess(app, rules, accessKey, routes);
  await app.register(cors, {
    origin: [...allowOrigins],
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: ['authorization', 'content-type', 'range', 'if-none-match', 'if-modified-since', ...doorRequestHeaders],
    exposedHeaders: ['etag', 'content-range', 'content-disposition', 'retry-after', 'x-request-id', 'x-zimage-ignored', 'mcp-session-id'],
    maxAge: 600,
    strictPreflight: false,
    hideOptionsRoute: true,
  });
  await registerOpenApi(app, version);

  const thumbnails = createThumbnails(config.dataDir, images, () => jobs.settings().mark_images, log);
  jobs.onImagesDeleted((filenames) => {
    thumbnails.forget(filenames).catch((thrown: unknown) => log.warn({ err: thrown }, 'thumbnails of deleted images could not be removed'));
  });

  registerHealth(app);
  registerInfo(app, { version, onnxruntimeVersion, open, jobs, registry: library, engineStatus });
  registerImage(app, { jobs, thumbnails, images, rules });
  registerBulk(app, jobs);
  registerJobs(app, jobs);
  registerQueue(app, jobs);
  registerModels(app, library);
  registerExtraModels(app, library);
  registerDevices(app, listDevices);
  registerCudaPack(app, cudaPack);
  registerTokens(app, library, measurePrompt);
  registerSettings(app, jobs);
  registerNetwork(app, rules, accessKey, access);
  registerClients(app, jobs);
  registerLog(app, log.recent);
  const gate = createUploadGate({ ...defaultUploadLimits, ...options.uploadLimits });
  await registerUploads(app, { jobs, images, uploads, thumbnails }, gate);
  registerSocketRoute(app, { jobs, library, cudaPack, access, limits: socketLimits });
  const doors = { jobs, library, images, uploads, gate, timing: { ...defaultDoorTiming, ...options.doorTiming } };
  await registerOpenAi(app, doors);
  registerA1111(app, { ...doors, mayChangeModel: (request) => limitedAddress(request) === null || access.hasKey(request) });
  registerMcp(app, { version, accessKey, gate });
  registerDocs(app, version);
  registerWindow(app, rendererDir);
  await app.ready();
  return app;
}

/** Everything from this server and nothing inline; what a library inserts at run time needs the response's nonce. */
const contentPolicy = {
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      imgSrc: ["'self'", 'data:', 'blob:'],
      connectSrc: ["'self'"],
      fontSrc: ["'self'"],
      workerSrc: ["'self'"],
      manifestSrc: ["'self'"],
      formAction: ["'self'"],
      baseUri: ["'none'"],
      frameAncestors: ["'none'"],
    },
  },
  enableCSPNonces: true,
  crossOriginResourcePolicy: { policy: 'same-origin' as const },
  referrerPolicy: { policy: 'no-referrer' as const },
  // the server speaks plain HTTP: browsers would ignore it, or lock the user out after a proxy was taken away
  strictTransportSecurity: false,
};
