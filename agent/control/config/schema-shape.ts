/** A schema as a plain tree: what the documentation is written from and where unknown keys find their neighbours. */
import type * as z from 'zod'

export type SchemaShape =
  | { readonly kind: 'map'; readonly fields: readonly FieldShape[] }
  | { readonly kind: 'list'; readonly item: SchemaShape }
  | {
      readonly kind: 'choice'
      readonly by: string
      readonly options: readonly { readonly word: string; readonly shape: SchemaShape }[]
    }
  | { readonly kind: 'leaf'; readonly allowed: string }

export interface FieldShape {
  readonly name: string
  readonly shape: SchemaShape
  readonly description: string
  readonly isRequired: boolean
  /** As an operator writes it; undefined = none. */
  readonly defaultValue: unknown
}

interface Def {
  readonly type: string
  readonly innerType?: z.ZodType
  readonly in?: z.ZodType
  readonly element?: z.ZodType
  readonly shape?: Record<string, z.ZodType>
  readonly options?: readonly z.ZodType[]
  readonly discriminator?: string
  readonly values?: readonly unknown[]
  readonly defaultValue?: unknown
}

export function shapeOf(schema: z.ZodType): SchemaShape {
  const def = schema.def as unknown as Def
  const allowed = (schema.meta() as { allowed?: string } | undefined)?.allowed
  if (allowed !== undefined) return { kind: 'leaf', allowed }
  switch (def.type) {
    case 'optional':
    case 'prefault':
    case 'default':
      return shapeOf(def.innerType!)
    case 'object':
      return { kind: 'map', fields: Object.entries(def.shape!).map(([name, field]) => fieldOf(name, field)) }
    case 'array':
      return { kind: 'list', item: shapeOf(def.element!) }
    case 'union':
      return {
        kind: 'choice',
        by: def.discriminator!,
        options: def.options!.map((option) => {
          const fields = (option.def as unknown as Def).shape!
          return {
            word: String((fields[def.discriminator!]!.def as unknown as Def).values![0]),
            shape: shapeOf(option),
          }
        }),
      }
    case 'literal':
      return { kind: 'leaf', allowed: def.values!.map(String).join(', ') }
    default:
      throw new Error(`schema type ${def.type} has no shape`)
  }
}

function fieldOf(name: string, schema: z.ZodType): FieldShape {
  let isRequired = true
  let defaultValue: unknown
  let description = schema.description ?? ''
  let inner = schema
  for (;;) {
    const def = inner.def as unknown as Def
    if (def.type === 'optional') isRequired = false
    else if (def.type === 'prefault' || def.type === 'default') {
      isRequired = false
      defaultValue = def.defaultValue
    } else break
    inner = def.innerType!
    description ||= inner.description ?? ''
  }
  return { name, shape: shapeOf(inner), description, isRequired, defaultValue }
}
