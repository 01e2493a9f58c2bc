/**
 * A part of the worker that is loaded when something first needs it, so that whoever speaks plain HTTP/1.1 does without
 * the memory of all the rest (decision 0080). It is loaded within the call: nothing waits for it, and no order changes.
 */
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { describeError, MeshError } from '../../contracts/errors.ts'

/**
 * The module `name` beside `base` (an `import.meta.url`), spelled without its ending. `what` names it for people. The
 * answer loads it, or throws E_PART_MISSING.
 */
export function lazily<Module>(base: string, name: string, what: string): () => Module {
  const path = fileURLToPath(new URL(`${name}${base.endsWith('.ts') ? '.ts' : '.js'}`, base))
  return () => {
    try {
      return createRequire(base)(path) as Module
    } catch (error) {
      throw new MeshError('E_PART_MISSING', `${what} cannot be loaded: ${describeError(error)}`)
    }
  }
}
