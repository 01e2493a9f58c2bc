/** What pages may look at and do: a part of control, named member by member. */
import type { Control } from '../control.ts'

type Core = Control['core']
type Host = Control['host']

export interface AdminView extends Pick<Control, 'config' | 'problems' | 'restartNeeded' | 'isLeading' | 'reload'> {
  readonly deps: Pick<Control['deps'], 'adapters' | 'clock' | 'generation' | 'log'> & {
    readonly rules: Pick<Control['deps']['rules'], 'statuses'>
  }
  readonly state: Pick<Control['state'], 'problems'>
  readonly core: Pick<Core, 'knownNames'> & {
    readonly store: Pick<Core['store'], 'allServices' | 'counts' | 'listenerNames' | 'nameOf' | 'version' | 'whole'>
    readonly publisher: Pick<Core['publisher'], 'ask' | 'states'>
    readonly directory: Pick<Core['directory'], 'heldBack'>
    readonly names: Pick<Core['names'], 'ask'>
  }
  readonly host: {
    readonly listeners: Pick<Host['listeners'], 'portRows'>
    readonly readiness: Pick<Host['readiness'], 'listenerProblem' | 'listenerState' | 'pending'>
    readonly registrar: Pick<Host['registrar'], 'get' | 'views' | 'applications'>
    readonly applications: Pick<Host['applications'], 'problemOf' | 'put' | 'remove'>
  }
}
