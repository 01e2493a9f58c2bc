import { MeshError } from '../../../../contracts/errors.ts'
import { stateFiles } from '../../../../contracts/run-directory.ts'
import type { Control } from '../../control.ts'
import type { Application } from './application.ts'

/**
 * Takes in what an application of this host said of itself, or says anew. Resolves when it is kept on disk: what a
 * client was told is kept, even if control dies in the next moment. Rejects with E_PORT_RANGE_FULL; the application is
 * not there then.
 */
export async function announce({ host, state }: Pick<Control, 'host' | 'state'>, said: Application): Promise<void> {
  const { id } = said
  const isNew = host.registrar.get(id) === undefined
  if (host.applications.put(said) === undefined) {
    await host.applications.remove(id)
    throw new MeshError('E_PORT_RANGE_FULL', `${id}: no inbound port is free; widen inbound.portRange`)
  }
  if (isNew) await state.flush(stateFiles.registrations)
}
