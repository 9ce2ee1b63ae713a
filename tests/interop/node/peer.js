'use strict';
// The interop peer of gRPC's stack for Node; ../README.md has the command line.

const { parseArgs } = require('node:util');

function clientArguments(args) {
  const options = { list: { type: 'boolean' }, tls: { type: 'string' }, name: { type: 'string' } };
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  return { ...values, address: positionals[0], name_of_case: positionals[1] };
}

async function client(args) {
  const { CASES, Target } = require('./cases');
  const { list, tls, name, address, name_of_case: wanted } = clientArguments(args);
  if (list) {
    console.log(Object.keys(CASES).join('\n'));
    return 0;
  }
  if (!CASES[wanted]) {
    console.log(`no such case: ${wanted}`);
    return 1;
  }
  const target = new Target(address, tls, name);
  try {
    await CASES[wanted](target);
    return 0;
  } catch (error) {
    console.log(`${wanted}: ${error.message}`);
    return 1;
  } finally {
    target.close();
  }
}

async function server(args) {
  const { CASES, run } = require('./server');
  if (args[0] === '--list') {
    console.log(CASES.join('\n'));
    return 0;
  }
  return run(args[0] === '--tls' ? { certificate: args[1], key: args[2] } : null);
}

const role = { client, server }[process.argv[2]];
if (!role) {
  console.log('client or server');
  process.exit(2);
}
role(process.argv.slice(3)).then((code) => process.exit(code));
