/** The words of the call with which control is started. */
import { parseArgs } from 'node:util'
import { MeshError } from '../../contracts/errors.ts'

export interface Arguments {
  readonly configFile: string
  readonly runDir: string | undefined
  readonly stateDir: string | undefined
  readonly generation: number
  /** How many were started with us; undefined = as many as the configuration says. It may say another number by now. */
  readonly workers: number | undefined
  readonly isAlone: boolean
}

/** Throws E_CONFIG_INVALID with the usage. */
export function readArguments(): Arguments {
  const { values } = parseArgs({
    options: {
      config: { type: 'string' },
      'run-dir': { type: 'string' },
      'state-dir': { type: 'string' },
      generation: { type: 'string', default: '1' },
      workers: { type: 'string' },
      alone: { type: 'boolean', default: false },
    },
  })
  const generation = Number(values.generation)
  if (values.config === undefined || !Number.isSafeInteger(generation) || generation < 1)
    throw new MeshError(
      'E_CONFIG_INVALID',
      'usage: main.ts --config FILE --run-dir DIR --state-dir DIR --generation N [--workers N] [--alone]',
    )
  return {
    configFile: values.config,
    runDir: values['run-dir'],
    stateDir: values['state-dir'],
    generation,
    workers: values.workers === undefined ? undefined : Number(values.workers),
    isAlone: values.alone,
  }
}
