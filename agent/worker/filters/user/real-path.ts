import { realpathSync } from 'node:fs'

/** As stacks name a module, with symbolic links followed; as it is where that cannot be told. */
export function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}
