/** `docs/errors.md` from the one list of codes. */
import { errorCodes, type ErrorCode } from '../contracts/errors.ts'

const sources: Readonly<Record<string, string>> = {
  downstream: 'the caller',
  upstream: 'the called service or its endpoint',
  registry: 'the registry or its data',
  center: 'the global mesh center',
  config: 'configuration or rules',
  internal: 'the mesh itself',
}

const retries: Readonly<Record<string, string>> = {
  never: 'no',
  'before-send': 'yes: nothing of the request was sent',
  idempotent: 'only a request that may be repeated',
}

export function errorsDocument(): string {
  const codes = Object.keys(errorCodes) as ErrorCode[]
  return [
    '# Error codes',
    '',
    '<!-- Written by scripts/generate-docs.ts from contracts/errors.ts; a test compares the two. -->',
    '',
    'A code is a promise: once released it keeps its meaning. An answer that the mesh made, not the application, carries its code in the response header `x-mesh-error`; logs, `/ready`,',
    'statuses of rules and exit messages of `hostmesh` use the same codes.',
    '',
    '| code | meaning | who has to act | may be retried |',
    '| --- | --- | --- | --- |',
    ...codes.map((code) => {
      const { retry, source, text } = errorCodes[code]
      return `| \`${code}\` | ${text.replaceAll('|', '\\|')} | ${sources[source]} | ${retries[retry]} |`
    }),
    '',
  ].join('\n')
}
