# Kills processes, with their descendants, and removes folders once standard input closes.
#
# Lines on standard input:
#   kill PID       kill it at the end         spare PID      it is gone already
#   remove FOLDER  remove it at the end       keep FOLDER    it is gone already

trap '' HUP INT QUIT TERM

pids=' '
while IFS=' ' read -r verb what; do
    case $verb in
    kill) pids="$pids$what " ;;
    spare) case $pids in *" $what "*) pids="${pids%% "$what" *} ${pids#* "$what" }" ;; esac ;;
    remove) set -- "$@" "$what" ;;
    keep)
        for folder; do
            shift
            [ "$folder" = "$what" ] || set -- "$@" "$folder"
        done
        ;;
    esac
done

# Every process and its parent, one pair a line.
table() {
    if [ -r /proc/self/stat ]; then
        for stat in /proc/[0-9]*/stat; do
            line=
            IFS= read -r line <"$stat" || continue
            # pid (name) state parent ..; the name may hold blanks and brackets.
            rest=${line##*) }
            rest=${rest#* }
            echo "${line%% *} ${rest%% *}"
        done
    else
        ps -A -o pid= -o ppid=
    fi
}

for pid in $pids; do
    kill -STOP "$pid"
done
grown=yes
while [ "$grown" ]; do
    grown=
    rows=$(table)
    while read -r pid parent; do
        case $pids in *" $pid "*) continue ;; esac
        case $pids in *" $parent "*) pids="$pids$pid " grown=yes ;; esac
    done <<ROWS
$rows
ROWS
done
for pid in $pids; do
    kill -KILL "$pid"
done

# A dying process may write once more.
for attempt in 1 2 3; do
    [ $# -eq 0 ] || rm -rf -- "$@" && break
    sleep 1
done
