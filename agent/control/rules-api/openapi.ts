/** The OpenAPI document of the API, from the same schemas that check the rules. */
import * as z from 'zod'
import { specShape } from '../core/rules/kinds.ts'
import { apiGroups, apiKinds, type ApiKind } from './api-kinds.ts'
import { isMap } from './patch.ts'
import { bodyTypes } from './request-body.ts'

interface GroupVersion {
  readonly group: string
  readonly version: string
}

const statusRef = { $ref: '#/components/schemas/Status' }

const statusSchema = {
  type: 'object',
  description: 'A refusal, or what was done.',
  properties: {
    kind: { type: 'string' },
    apiVersion: { type: 'string' },
    status: { type: 'string', enum: ['Success', 'Failure'] },
    message: { type: 'string', description: 'Resource, path, found, allowed.' },
    reason: { type: 'string' },
    code: { type: 'integer' },
    details: { type: 'object' },
  },
}

const metadataSchema = {
  type: 'object',
  description: 'Name, namespace, labels and annotations; the rest is set by the server.',
  properties: {
    name: { type: 'string' },
    namespace: { type: 'string' },
    labels: { type: 'object', additionalProperties: { type: 'string' } },
    annotations: { type: 'object', additionalProperties: { type: 'string' } },
    uid: { type: 'string' },
    resourceVersion: { type: 'string', description: 'Of the last change; a change that names another one is refused.' },
    generation: { type: 'integer' },
    creationTimestamp: { type: 'string', format: 'date-time' },
  },
}

const token = { type: 'http', scheme: 'bearer', description: 'A token of `rulesApi.tokensFile`.' }
/** Since OpenAPI 3.1. */
const certificate = {
  type: 'mutualTLS',
  description: 'A certificate of `rulesApi.tls.clientCa` whose common name stands in `rulesApi.tokensFile`.',
}

const query = (name: string, description: string, type = 'string') => ({
  name,
  in: 'query',
  description,
  schema: { type },
})

const writeParameters = [
  query('dryRun', '`All`: everything is checked, nothing is written.'),
  query('fieldManager', 'Who decides about the fields that are written.'),
  query('fieldValidation', 'Unknown fields are always refused.'),
]
const listParameters = [
  query('labelSelector', '`a=b`, `a!=b`, `a in (b,c)`, `a`, `!a`'),
  query('fieldSelector', '`metadata.name=…`'),
  query('watch', 'A line of JSON per change, from `resourceVersion` on.', 'boolean'),
  query('resourceVersion', 'Of the list that a watch goes on from.'),
  query('timeoutSeconds', 'Of a watch.', 'integer'),
  query('allowWatchBookmarks', 'A watch also says how far it is.', 'boolean'),
]
const forceParameter = query('force', 'An apply takes fields from whoever decides about them.', 'boolean')

/** The list of documents that Kubernetes' clients read. */
export function openApiRoot(): object {
  const paths: Record<string, object> = {}
  for (const [group, versions] of apiGroups)
    for (const version of versions)
      paths[`apis/${group}/${version}`] = { serverRelativeURL: `/openapi/v3/apis/${group}/${version}` }
  return { paths }
}

/** Of one group and version in OpenAPI 3.0, as Kubernetes' clients read it; undefined = everything, in 3.1. */
export function openApiDocument(of: GroupVersion | undefined, productVersion: string): object | undefined {
  const isOld = of !== undefined
  const schemas: Record<string, object> = { Status: statusSchema, ObjectMeta: metadataSchema }
  const paths: Record<string, object> = {}
  for (const kind of apiKinds) {
    for (const version of kind.versions) {
      if (isOld && (of.group !== kind.group || of.version !== version)) continue
      const name = schemaName(kind, version)
      schemas[name] = kindSchema(kind, version, isOld ? 'openapi-3.0' : 'draft-2020-12')
      schemas[`${name}List`] = listSchema(kind, version, name)
      Object.assign(paths, kindPaths(kind, version, name))
    }
  }
  if (Object.keys(paths).length === 0) return undefined
  return {
    openapi: isOld ? '3.0.0' : '3.1.0',
    info: { title: 'Hostmesh rules', version: productVersion },
    paths,
    components: {
      schemas,
      securitySchemes: isOld ? { token } : { token, certificate },
    },
    security: isOld ? [{ token: [] }] : [{ token: [] }, { certificate: [] }],
  }
}

/** `io.istio.networking.v1.VirtualService` */
function schemaName({ group, kind }: ApiKind, version: string): string {
  return `${group.split('.').toReversed().join('.')}.${version}.${kind}`
}

function kindSchema({ kind, group }: ApiKind, version: string, target: 'openapi-3.0' | 'draft-2020-12'): object {
  const { $schema: _, ...spec } = z.toJSONSchema(specShape(kind), {
    io: 'input',
    unrepresentable: 'any',
    target,
  }) as Record<string, unknown>
  return {
    type: 'object',
    description: `${kind} of ${group}; docs/traffic.md says what each field does.`,
    required: ['apiVersion', 'kind', 'metadata', 'spec'],
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { $ref: '#/components/schemas/ObjectMeta' },
      spec: implemented(spec),
      status: { type: 'object', description: 'Whether the rule is applied, and if not, why.' },
    },
    'x-kubernetes-group-version-kind': [{ group, version, kind }],
  }
}

/** Without fields that are refused whatever they hold, which a schema cannot say. */
function implemented(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(implemented)
  if (!isMap(schema)) return schema
  const made: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(schema)) {
    if (key === 'properties' && isMap(value))
      made[key] = Object.fromEntries(
        Object.entries(value).flatMap(([name, one]) => (isEmpty(one) ? [] : [[name, implemented(one)]])),
      )
    else made[key] = key === 'default' || key === 'enum' ? value : implemented(value)
  }
  return made
}

function isEmpty(schema: unknown): boolean {
  return isMap(schema) && Object.keys(schema).length === 0
}

function listSchema({ kind, group }: ApiKind, version: string, item: string): object {
  return {
    type: 'object',
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object', properties: { resourceVersion: { type: 'string' } } },
      items: { type: 'array', items: { $ref: `#/components/schemas/${item}` } },
    },
    'x-kubernetes-group-version-kind': [{ group, version, kind: `${kind}List` }],
  }
}

const revertOrder = {
  type: 'object',
  properties: {
    change: { type: 'integer', description: 'The newest change, which is taken back.' },
    to: { type: 'integer', description: 'The version that comes back.' },
    resourceVersion: { type: 'string', description: 'Beside `to`: the version that is the newest one.' },
  },
}

function kindPaths(kind: ApiKind, version: string, name: string): Record<string, object> {
  const base = `/apis/${kind.group}/${version}`
  const ref = { $ref: `#/components/schemas/${name}` }
  const meant = { group: kind.group, version, kind: kind.kind }
  const content = (schema: object, ...types: readonly string[]) =>
    Object.fromEntries(types.map((type) => [type, { schema }]))
  const reply = (schema: object, status = '200') => ({
    [status]: { description: 'Done.', content: content(schema, bodyTypes.json) },
    default: { description: 'Refused.', content: content(statusRef, bodyTypes.json) },
  })
  const operation = (action: string, id: string, parameters: readonly object[], responses: object, body?: object) => ({
    operationId: `${id}${kind.group.replaceAll('.', '')}${version}${kind.kind}`,
    tags: [`${kind.group}/${version}`],
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': meant,
    parameters,
    responses,
    ...(body === undefined ? {} : { requestBody: { required: true, content: body } }),
  })
  const inPath = (parameter: string) => ({ name: parameter, in: 'path', required: true, schema: { type: 'string' } })
  const list = reply({ $ref: `#/components/schemas/${name}List` })
  const whole = content(ref, bodyTypes.json, bodyTypes.yaml)
  const patches = content({ type: 'object' }, bodyTypes.merge, bodyTypes.apply)
  return {
    [`${base}/${kind.plural}`]: { get: operation('list', 'listAll', listParameters, list) },
    [`${base}/namespaces/{namespace}/${kind.plural}`]: {
      parameters: [inPath('namespace')],
      get: operation('list', 'list', listParameters, list),
      post: operation('post', 'create', writeParameters, reply(ref, '201'), whole),
    },
    [`${base}/namespaces/{namespace}/${kind.plural}/{name}`]: {
      parameters: [inPath('namespace'), inPath('name')],
      get: operation('get', 'read', [], reply(ref)),
      put: operation('put', 'replace', writeParameters, reply(ref), whole),
      patch: operation('patch', 'patch', [...writeParameters, forceParameter], reply(ref), patches),
      delete: operation('delete', 'delete', [writeParameters[0]!], reply(statusRef)),
    },
    [`${base}/namespaces/{namespace}/${kind.plural}/{name}/history`]: {
      parameters: [inPath('namespace'), inPath('name')],
      get: operation('get', 'history', [], reply({ type: 'object' })),
    },
    [`${base}/namespaces/{namespace}/${kind.plural}/{name}/revert`]: {
      parameters: [inPath('namespace'), inPath('name')],
      post: operation('post', 'revert', [], reply(ref), content(revertOrder, bodyTypes.json, bodyTypes.yaml)),
    },
  }
}
