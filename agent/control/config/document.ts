/** Writes `docs/config.md` from the schemas. */
import type * as z from 'zod'
import { agentFileSchema, applicationFileSchema } from './schema.ts'
import { shapeOf, type FieldShape, type SchemaShape } from './schema-shape.ts'

/** `center`: the sections that only a center has. */
export function configDocument(center: z.ZodType): string {
  return [
    '# Configuration',
    '',
    '<!-- Written by scripts/generate-docs.ts from agent/control/config/schema.ts and global-mesh-center/config/schema.ts; a test compares the two. -->',
    '',
    'One file for the node, `agent.yaml` or `center.yaml`, and one small file per local application in `services.d`. `hostmesh check -c agent.yaml` reports every problem at',
    'once with file, line and path. Unknown keys are errors. Times carry a unit (`500ms`, `30s`, `5m`, `2h`, `1d`), sizes may (`64KiB`, `16MiB`). Passwords are only read from',
    'files. Relative paths are taken from the folder of `agent.yaml`.',
    '',
    'At a reload (SIGHUP, or a changed file) a bad `agent.yaml` leaves the running configuration in place, and a bad file in `services.d` leaves that application as it was;',
    '`/ready`, `/config_dump` and the metric `hostmesh_config_problems` show it.',
    '',
    '## agent.yaml',
    '',
    ...table(agentFileSchema),
    '',
    '## center.yaml',
    '',
    'The file of a global mesh center says `role: center`. It has every section of `agent.yaml` except `center`, and these:',
    '',
    ...table(center),
    '',
    '## services.d/\\*.yaml',
    '',
    ...table(applicationFileSchema),
    '',
  ].join('\n')
}

function table(schema: Parameters<typeof shapeOf>[0]): string[] {
  const shape = shapeOf(schema)
  const rows = ['| key | allowed | default | meaning |', '| --- | --- | --- | --- |']
  if (shape.kind === 'map') for (const field of shape.fields) rows.push(...rowsOf(field, ''))
  return rows
}

function rowsOf(field: FieldShape, prefix: string): string[] {
  const key = `${prefix}${field.name}`
  const row = `| \`${key}\` | ${escape(allowedOf(field.shape))} | ${defaultOf(field)} | ${escape(field.description)} |`
  return [row, ...below(field.shape, key)]
}

function below(shape: SchemaShape, key: string): string[] {
  switch (shape.kind) {
    case 'map':
      return shape.fields.flatMap((field) => rowsOf(field, `${key}.`))
    case 'list':
      return shape.item.kind === 'leaf' ? [] : below(shape.item, `${key}[]`)
    case 'choice':
      return shape.options.flatMap((option) => below(option.shape, `${key}(${option.word})`))
    case 'leaf':
      return []
  }
}

function allowedOf(shape: SchemaShape): string {
  switch (shape.kind) {
    case 'map':
      return 'a map'
    case 'list':
      return shape.item.kind === 'leaf' ? `a list of: ${shape.item.allowed}` : 'a list'
    case 'choice':
      return `by \`${shape.by}\`: ${shape.options.map((option) => option.word).join(', ')}`
    case 'leaf':
      return shape.allowed
  }
}

function defaultOf(field: FieldShape): string {
  if (field.isRequired) return '**required**'
  const value = field.defaultValue
  if (value === undefined || field.shape.kind === 'map') return ''
  if (Array.isArray(value)) return 'none'
  if (value === '') return 'empty'
  if (typeof value === 'object') return 'none'
  return `\`${String(value as string | number | boolean)}\``
}

function escape(text: string): string {
  return text.replaceAll('|', '\\|')
}
