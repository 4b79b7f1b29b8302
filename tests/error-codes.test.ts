import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { programDir } from '#main/lib/program-files.ts';
import { type ErrorCode, errorTable } from '#shared/protocol/errors.ts';

/**
 * Where each code is really provoked: for a test's file the title by code, as it stands in the source. One that nothing can provoke has no business in
 * the table of errors.
 */
const provokedBy: Record<string, Partial<Record<ErrorCode, string>>> = {
  'src-main/server/socket.test.ts': {
    bad_json: '%j is told, and the connection goes on',
    bad_message: 'text that is not UTF-8 is told too',
    unknown_message_type: '%j is told, and the connection goes on',
    missing_param: '%j is told, and the connection goes on',
    unknown_param: '%j is told, and the connection goes on',
    bad_param: '%j is told, and the connection goes on',
    bad_client_id: '%s is refused before the 101',
    client_id_required: '%j is told, and the connection goes on',
    frame_too_large: 'a frame of 64 KiB is read, one byte more closes with 1009',
    slow_reader: 'a reader that is too slow is cut, and the others are not',
    too_many_connections: 'no more sockets than allowed',
    rate_limited: 'another machine that sends too much is told how long to wait, and goes on then',
  },
  'src-main/server/access/access.test.ts': {
    forbidden_host: 'Host $host, Origin $origin: $code',
    forbidden_origin: 'Host $host, Origin $origin: $code',
    forbidden_site: 'Sec-Fetch %j',
    access_key_required: 'this machine needs none, another one does, for HTTP and for the socket',
  },
  'src-main/server/server.test.ts': {
    not_found: '%s %s %j is %d %s',
    method_not_allowed: '%s %s %j is %d %s',
    unsupported_media_type: '%s %s %j is %d %s',
    body_too_large: '%s %s %j is %d %s',
    request_timeout: 'a request whose %s stop in the middle is answered after the time allowed',
    headers_too_large: 'headers beyond 16 KiB are refused',
    range_not_satisfiable: 'a part of it',
    upgrade_required: '%s %s %j is %d %s',
    unknown_image: 'there is no picture %s',
    picture_damaged: 'what is no picture is refused',
    port_taken: 'a port that is taken, and an address that is not ours, are one sentence',
    internal: 'an error of the inside is not told outside, but logged once',
  },
  'src-main/jobs/durable-jobs.test.ts': {
    unknown_job: 'unknown ids',
    not_cancellable: 'a job in %s cannot be cancelled, and nothing changes',
    job_of_others: 'without interest of its own a client cancels only what nobody wants',
    job_not_ended: 'a running job cannot be deleted',
    queue_full: 'a full queue refuses by code and says when to come back; asking for what is there already is answered',
    disk_full: 'no new run without room on the disk',
  },
  'src-main/jobs/images/recovery.test.ts': {
    shutting_down: 'parking lets a picture past the model be written and stops the rest at the next step',
    database_damaged: 'a damaged database is moved aside and the pictures are indexed again',
  },
  'src-main/jobs/store/private-folder.test.ts': { folder_not_writable: '%s, where nothing can be written, is told at once' },
  'tests/faults/disk.test.ts': { disk_failed: 'a picture that cannot be synced (EIO): failed with the code, nothing half written, the next one comes' },
  'src-main/jobs/store/database.test.ts': {
    data_folder_in_use: 'a data folder is held by one instance',
    database_newer: 'a newer schema is refused and not touched',
  },
  'src-main/config/config.test.ts': { bad_option: '%j is refused by name' },
  'src-main/compiler/safetensors/open-checkpoint-tensors.test.ts': {
    checkpoint_missing: '%s is refused',
    checkpoint_damaged: '%s is refused',
    checkpoint_unsupported: '%s is refused',
  },
  'src-main/models/registry.test.ts': { model_not_installed: 'without bundled checkpoints the kind that is missing is named' },
  'src-main/models/create-library.test.ts': {
    unknown_model: 'is not downloaded, paused or verified as if it were',
    model_busy: 'is not downloaded, paused or verified as if it were',
    repository_unavailable: 'cannot be reached: one sentence with what to look at, and no word of the token',
    download_refused: 'has pickles for weights: refused by name',
    download_failed: 'of bytes that never have the hash fails with that, and leaves nothing that could be taken for the file',
  },
  'src-main/cuda-pack/create-cuda-pack.test.ts': {
    licence_not_accepted: 'without consent nothing is asked for, and the licences are named',
    cuda_pack_busy: 'a pack that the engine runs with is not removed; afterwards it is, to the last file',
    cuda_pack_damaged: 'a provider library of another version of ONNX Runtime is no pack',
    cuda_pack_unsupported: 'where there is none for the system, that is said and nothing else can be done',
  },
  'src-main/compiler/graph/verify.test.ts': { graph_invalid: '%s is found, and the node named' },
  'src-main/engine/supervisor.test.ts': {
    engine_crashed: '%s once is healed, twice is %s',
    engine_hung: '%s once is healed, twice is %s',
    engine_out_of_memory: '%s once is healed, twice is %s',
    engine_unavailable: 'a process that keeps dying is left alone until the window has passed',
    cancelled: 'a cancelled task that does not stop: rejected, the process exchanged, no crash counted',
  },
  'src-main/engine/thread-runner.test.ts': { engine_failed: 'what the model throws comes as engine_failed, with everything that it was given' },
  'src-main/studio/choose-engines.test.ts': { device_unavailable: 'whose probe did not pass is refused, with the reason' },
  'src-main/inference/validate-latents.test.ts': {
    latents_not_finite: 'one latent of %d fails the step',
    latents_collapsed: '%s latents fail the step',
    picture_not_finite: 'a decoded value that is no number is found',
    picture_flat: 'one flat colour is no picture; one brighter corner is',
  },
};

test('every code of the table has one test here, and nothing else has', () => {
  const codes = Object.values(provokedBy).flatMap((titles) => Object.keys(titles));
  expect(codes.toSorted()).toEqual(Object.keys(errorTable).toSorted());
});

const places = Object.entries(provokedBy).flatMap(([file, titles]) => Object.entries(titles).map(([code, title]) => ({ code, file, title })));

test.for(places)('$code is expected by a test of that name', ({ code, file, title }) => {
  const source = readFileSync(join(programDir, file), 'utf8');
  const titles = [...source.matchAll(/(?:\btest|\))\(\s*(['"`])(.+?)\1,/g)].map(([, , text]) => text);
  expect(titles).toContain(title);
  expect(source).toMatch(new RegExp(`'${code}'`));
});
