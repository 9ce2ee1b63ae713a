'use strict';
// The client's cases against bad_server.py, which says what has to come of each.

const grpc = require('@grpc/grpc-js');
const { unary, largeRequest, callLarge, checkStatus } = require('./target');

const SEVERAL = 10;

async function repeatedly(target, count) {
  for (let i = 0; i < count; i += 1) await callLarge(target.stub);
}

async function expectInternal(target) {
  checkStatus((await unary(target.stub, 'UnaryCall', largeRequest())).error, grpc.status.INTERNAL);
}

async function maxStreams(target) {
  await callLarge(target.stub);
  await Promise.all(Array.from({ length: SEVERAL }, () => callLarge(target.stub)));
}

module.exports = {
  goaway: (target) => repeatedly(target, 2),
  rst_after_header: expectInternal,
  rst_during_data: expectInternal,
  rst_after_data: expectInternal,
  ping: (target) => callLarge(target.stub),
  max_streams: maxStreams,
  data_frame_padding: (target) => repeatedly(target, SEVERAL),
  no_df_padding: (target) => repeatedly(target, SEVERAL),
};
