import type { CudaPackEntry } from '#shared/domain/cuda-pack.ts';
import type { ClientMessage, ServerMessage } from '#shared/protocol/messages.ts';

/** In the middle of its installation. */
export const EXAMPLE_CUDA_PACK: CudaPackEntry = {
  state: 'downloading',
  version: '1.30.0-cuda13.1.1-cudnn9.20.0',
  onnxruntime: '1.30.0',
  source: 'github.com, developer.download.nvidia.com',
  path: null,
  bytes_done: 420_000_000,
  bytes_total: 1_800_000_000,
  bytes_per_second: 42_000_000,
  seconds_left: 33,
  installed_bytes: 1_480_000_000,
  error: null,
  revision: 1_770_163_200_042,
  licences: [{ name: 'MIT License', covers: 'the CUDA execution provider of ONNX Runtime', url: 'https://github.com/microsoft/onnxruntime/blob/main/LICENSE' }],
  others: [],
};

/** A sentence and an example for each message of the WebSocket; the fields themselves are read from the schemas. */
interface Guide<Message> {
  summary: string;
  example: Message;
}

type Guides<Messages extends { type: string }> = { [Type in Messages['type']]: Guide<Extract<Messages, { type: Type }>> };

export const EXAMPLE_JOB_ID = '3f1c9ab27d5e40816cb2f04e9d8a7715c60b3e92f14d8a057be6c91d20f38a4e';
export const EXAMPLE_FILE = '20260204-a-lighthouse-at-dusk-3f1c9ab2';
const result = { filename: `${EXAMPLE_FILE}.png`, path: `outputs/${EXAMPLE_FILE}.png`, upscaled_filename: `${EXAMPLE_FILE}-upscaled.png` };

/** Params that have a default may be left out, so an example is what a client sends, not what was parsed. */
export const clientGuide: { [Type in ClientMessage['type']]: Guide<{ type: Type } & Record<string, unknown>> } = {
  create_job: {
    summary: 'Asks for a picture and its 4x version. The same params again join the job that is there, or are answered from what was made before.',
    example: {
      type: 'create_job',
      task_type: 'text_to_image',
      request_id: 'req-001',
      params: { prompt: 'a lighthouse at dusk', width: 1024, height: 1024, steps: 9, guidance_scale: 0, seed: 42, model_type: 'uint4' },
    },
  },
  get_status: { summary: 'Asks how a job stands; job_status answers.', example: { type: 'get_status', job_id: EXAMPLE_JOB_ID, request_id: 'req-002' } },
  cancel_job: {
    summary: 'Gives up a pending or processing job. It stops within one step when no other client wants it.',
    example: { type: 'cancel_job', job_id: EXAMPLE_JOB_ID, request_id: 'req-003' },
  },
  get_client_jobs: {
    summary: 'Asks for all jobs that this client_id ever wanted, newest first; client_jobs answers.',
    example: { type: 'get_client_jobs', request_id: 'req-004' },
  },
  watch: {
    summary:
      'Chooses what is sent beside the answers: previews, events of all jobs, installations of models, and with since what this client_id has missed; watching answers.',
    example: { type: 'watch', previews: true, since: 17, request_id: 'req-005' },
  },
};

export const serverGuide: Guides<ServerMessage> = {
  job_status: {
    summary: 'A job entered a state: pending, processing, generated, completed, failed or cancelled. Also the answer to get_status and cancel_job.',
    example: { type: 'job_status', job_id: EXAMPLE_JOB_ID, status: 'completed', result, request_id: 'req-001', seq: 21 },
  },
  job_progress: {
    summary: 'How far a running job is. Each denoising step sends one; the other stages send up to ten a second.',
    example: {
      type: 'job_progress',
      job_id: EXAMPLE_JOB_ID,
      progress: {
        stage: 'generating',
        percentage: 44,
        current_step: 4,
        total_steps: 9,
        elapsed: '00:15',
        remaining: '00:18',
        speed: '3.75s/it',
        type: 'progress',
      },
      seq: 19,
    },
  },
  job_preview: {
    summary: 'What the picture looks like so far, to those who asked for previews by watch.',
    example: { type: 'job_preview', job_id: EXAMPLE_JOB_ID, step: 4, media_type: 'image/jpeg', width: 64, height: 64, data: '/9j/4AAQ', seq: 20 },
  },
  cuda_pack_progress: {
    summary: 'How the CUDA pack stands or how far its installation is, to those who asked for models by watch.',
    example: { type: 'cuda_pack_progress', pack: EXAMPLE_CUDA_PACK },
  },
  model_progress: {
    summary: 'How a model stands or how far its download is, to those who asked for models by watch.',
    example: {
      type: 'model_progress',
      model: {
        name: 'Disty0/Z-Image-Turbo-SDNQ-uint4-svd-r32',
        kind: 'uint4',
        state: 'downloading',
        active: false,
        license: 'apache-2.0',
        source: {
          type: 'hub',
          repository: 'Disty0/Z-Image-Turbo-SDNQ-uint4-svd-r32',
          revision: '6c5d0f1e2a3b4c5d6e7f8091a2b3c4d5e6f70819',
          path: null,
        },
        identity: null,
        bytes_done: 1_650_000_000,
        bytes_total: 6_600_000_000,
        bytes_per_second: 42_000_000,
        seconds_left: 118,
        error: null,
        compilation: null,
      },
    },
  },
  client_jobs: {
    summary: 'The answer to get_client_jobs.',
    example: {
      type: 'client_jobs',
      jobs: [{ job_id: EXAMPLE_JOB_ID, task_type: 'text_to_image', status: 'completed', created_at: 1_770_163_200.25, result }],
      request_id: 'req-004',
    },
  },
  watching: { summary: 'The answer to watch, with the number of the newest event.', example: { type: 'watching', seq: 21, request_id: 'req-005' } },
  job_starred: {
    summary: 'Somebody gave a job a star or took it away, to those who asked for events of all jobs by watch.',
    example: { type: 'job_starred', job_id: EXAMPLE_JOB_ID, starred: true },
  },
  settings_changed: {
    summary: 'Somebody changed these settings, to those who asked for events of all jobs by watch. GET /api/settings tells the values.',
    example: { type: 'settings_changed', names: ['disk_limit_gb'] },
  },
  error: {
    summary: 'A message was refused. Programs decide by code; the sentence is for people. The connection stays open.',
    example: {
      type: 'error',
      message: 'width is "1024"; it must be a whole number from 256 to 2048 that divides by 16.',
      request_id: 'req-001',
      code: 'bad_param',
      field: 'width',
    },
  },
};
